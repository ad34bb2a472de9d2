// Marks a batch of the users about whom a client said something since a time: they are to be looked at. A user in a
// bucket is looked at when the answer comes.
// Parameters: client, since (seconds), limits, schema.
// Columns: marked (users). No row: the graph has another version.
// Repeating: a marked user is not found again; when nobody is left, `sweeping` is removed.
// include: _graph
// The placing lock: nobody is put into a bucket meanwhile.
MERGE (lock:DMCheckJob {name: 'make_buckets'})
SET lock.name = lock.name
WITH lock
CALL () {
    MATCH (c:DMCheckClient {id: $client})-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]->(u)
    WITH u,
    // include: _said_at
        AS at
    WHERE at >= $since AND coalesce(u.dmcheck_needs <> 'look', true)
        AND
    // include: _unplaced
    WITH u LIMIT $limits.batch_users
    WITH u ORDER BY u.screen_name
    SET u.dmcheck_needs = 'look', u.dmcheck_asked = $client
    RETURN count(u) AS marked
}
CALL (marked) {
    WITH marked WHERE marked = 0
    MATCH (:DMCheckClient {id: $client})-[:STATS]->(s:DMCheckClientStats)
    REMOVE s.sweeping
}
RETURN marked
