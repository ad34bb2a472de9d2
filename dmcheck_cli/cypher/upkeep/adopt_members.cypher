// Removes users who should not be there from the next buckets, by uuid: checked users who are not there for a second
// opinion, users whose name cannot be looked up, and users in several buckets; of those buckets, a leased one is kept
// first, then the more urgent one. Who has no answer is there for a first one; a bucket knows who answered the others.
// Parameters: after (a uuid; '' for the first), slice (how many buckets to read), schema.
// Columns: last (the uuid of the last one; null when none), corrected (users). No row: the graph has another version.
// Repeating: what was corrected is not found again.
// include: _graph
CALL () {
    MATCH (b:DMCheckBucket) WHERE b.uuid > $after
    WITH b ORDER BY b.uuid LIMIT $slice
    RETURN collect(b) AS slice, max(b.uuid) AS last
}
CALL (slice) {
    UNWIND slice AS b
    MATCH (b)<-[m:INDMCHECKBUCKET]-(u)
        // include: _odd_member
    WITH * WHERE nameless OR checked OR mismarked OR unheard OR COUNT { (u)-[:INDMCHECKBUCKET]->() } > 1
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
    MATCH (u)-[m:INDMCHECKBUCKET]->(b)
        // include: _odd_member
    WITH u, b, m, nameless OR checked AS leaves, mismarked, unheard, EXISTS { (b)-[:DMCHECKCLIENT]->() } AS leased,
         b.priority AS priority
    ORDER BY leased DESC, priority
    FOREACH (x IN CASE WHEN mismarked THEN [m] ELSE [] END | REMOVE x.second)
    WITH *
    CALL (u, b, unheard) {
        WITH u, b WHERE unheard
    // include: _opinions
        WHERE c.id IS :: INTEGER NOT NULL
        WITH b, collect(c.id) AS heard, collect(c.dm_from_id) AS sources
        SET b.heard = coalesce(b.heard, []) + heard, b.sources = coalesce(b.sources, []) + sources
    }
    WITH u, collect(m) AS memberships, collect(CASE WHEN leaves THEN m END) AS leaving
    WITH memberships, leaving, [x IN memberships WHERE NOT x IN leaving][1..] AS others
    FOREACH (m IN leaving + others | DELETE m)
}
RETURN last, size(odd) AS corrected
