// Deactivates a client and puts the buckets it holds back in line.
// Parameters: id, screen_name, limits, schema.
// Columns: outcome ('unregistered', 'wrong_details'), client (a map), returned (buckets). No row: no such client,
//   or the graph has another version.
// Repeating: the second run finds the client inactive and nothing held; returned is 0.
// include: _graph
MATCH (c:DMCheckClient {id: $id})
REMOVE c.lock
WITH c, toLower(toStringOrNull(c.screen_name)) <> toLower($screen_name) AS wrong WHERE c:DMCheckClient
FOREACH (x IN CASE WHEN wrong OR c.state = 'DEACTIVE' THEN [] ELSE [c] END |
    SET x.state = 'DEACTIVE', x.edit_datetime = datetime()
)
WITH c, wrong
CALL (c, wrong) {
    WITH c WHERE NOT wrong
    MATCH (c)<-[:DMCHECKCLIENT]-(held:DMCheckBucket)
    WITH held ORDER BY held.uuid
    REMOVE held.lock
    WITH collect(held) AS locked
    UNWIND locked AS b
    WITH b, 'returned' AS how
    // include: _end_lease
    // include: _give_back
    RETURN count(b) AS returned
}
RETURN CASE WHEN wrong THEN 'wrong_details' ELSE 'unregistered' END AS outcome, returned,
       // include: _client
