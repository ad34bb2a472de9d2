// Removes users who should not be there from the next buckets, by uuid: checked users, users whose name cannot be
// looked up, and users in several buckets; of those buckets, a leased one is kept first, then the more urgent one.
// Parameters: after (a uuid; '' for the first), slice (how many buckets to read), schema.
// Columns: last (the uuid of the last one; null when none). No row: the graph has another version.
// Repeating: a removed user is not found again.
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
