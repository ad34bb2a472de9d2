// Takes users out of the next buckets, in the order of their uuids, who should not be in them: who is checked, whose
// name nobody can ask for, and who is in several; of these, a lease counts first and then the more urgent bucket.
// Parameters: after (a uuid; '' starts from the first), slice (how many buckets to look at), schema.
// Columns: last (the uuid of the last one; null when none). No row: the graph is of another version.
// Repeating: who was taken out is not found again.
// include: _graph
CALL () {
    MATCH (b:DMCheckBucket) WHERE b.uuid > $after
    WITH b ORDER BY b.uuid LIMIT $slice
    RETURN collect(b) AS slice, max(b.uuid) AS last
}
CALL (slice) {
    UNWIND slice AS b
    MATCH (b)<-[:INDMCHECKBUCKET]-(u)
        // include: _odd_member
    WHERE nameless OR checked OR COUNT { (u)-[:INDMCHECKBUCKET]->() } > 1
    RETURN collect(DISTINCT u) AS odd
}
CALL (odd) {
    WITH odd WHERE odd <> []
    MERGE (lock:DMCheckJob {name: 'make_buckets'})
    SET lock.name = lock.name
}
CALL (odd) {
    UNWIND odd AS u
    MATCH (u)-[:INDMCHECKBUCKET]->(held)
    WITH DISTINCT held ORDER BY held.uuid
    REMOVE held.lock
}
CALL (odd) {
    UNWIND odd AS u
        // include: _odd_member
    MATCH (u)-[m:INDMCHECKBUCKET]->(b)
    WITH u, nameless OR checked AS leaves, m, EXISTS { (b)-[:DMCHECKCLIENT]->() } AS leased, b.priority AS priority
    ORDER BY leased DESC, priority
    WITH u, leaves, collect(m) AS memberships
    FOREACH (m IN CASE WHEN leaves THEN memberships ELSE memberships[1..] END | DELETE m)
}
RETURN last
