// Forgets a client: gives back what it holds, and takes its id, names and counters out of the graph. Its answers stay,
// with a node that says nothing.
// Parameters: id, limits, schema.
// Columns: returned (buckets), answers (in force). No row: the graph has another version.
// Repeating: the second run finds no such client, and leases without it.
// include: _graph
CALL () {
    MATCH (c:DMCheckClient {id: $id})
    REMOVE c.lock
}
CALL () {
    MATCH (:DMCheckClient {id: $id})<-[:DMCHECKCLIENT]-(held:DMCheckBucket)
    WITH held ORDER BY held.uuid
    REMOVE held.lock
    WITH collect(held) AS locked
    UNWIND locked AS b
    WITH b, 'returned' AS how
    // include: _end_lease
    // include: _give_back
    RETURN count(b) AS returned
}
// Nothing leads from a client to what it had before, so these two go through all leases and buckets.
CALL () {
    MATCH (l:DMCheckLease) WHERE l.client = $id
    REMOVE l.client, l.request, l.unjudged
}
CALL () {
    MATCH (b:DMCheckBucket) WHERE b.last_client = $id
    REMOVE b.last_client
}
CALL () {
    OPTIONAL MATCH (c:DMCheckClient {id: $id})
    OPTIONAL MATCH (c)-[:STATS]->(s)
    WITH c, collect(s) AS nodes, COUNT { (c)-[:DM_YES|DM_NO|DM_UNKNOWN]->() } AS answers
    FOREACH (s IN nodes | DETACH DELETE s)
    FOREACH (x IN CASE WHEN c IS NULL THEN [] ELSE [c] END | REMOVE x:DMCheckClient SET x:DMCheckFormerClient, x = {})
    RETURN answers
}
RETURN returned, answers
