// Marks expired leases dead.
// Parameters: lease_seconds (the maximum that the job allows), limits, schema.
// Columns: marked (a list of {client, bucket, lease}). No row: the graph has another version.
// Repeating: skips leases already dead. A lease that was revived by a renewal and dies again is marked again, but
//   counts in buckets_dead only once.
// include: _graph
CALL () {
    // include: _expired_leases
    WITH b, c LIMIT $limits.batch_leases
    RETURN collect(b.uuid) AS uuids, collect(c.id) AS ids
}
// include: _lock_held
CALL (uuids, ids) {
    // include: _expired_leases
        AND b.uuid IN uuids AND c.id IN ids
    MATCH (c)-[:STATS]->(s:DMCheckClientStats)
    OPTIONAL MATCH (l:DMCheckLease {id: b.newest})
    WITH s, collect(b) AS ending, collect(l) AS dead, collect(CASE WHEN l.died THEN null ELSE l END) AS deaths,
        collect({client: c.id, bucket: b.uuid, lease: b.newest}) AS told
    FOREACH (b IN ending | SET b.dead_datetime = datetime())
    FOREACH (l IN dead | SET l.dead_datetime = datetime())
    FOREACH (l IN deaths | SET l.died = true)
    SET s.buckets_dead = coalesce(toIntegerOrNull(s.buckets_dead), 0) + size(deaths)
    RETURN collect(told) AS told
}
RETURN reduce(all = [], some IN told | all + some) AS marked
