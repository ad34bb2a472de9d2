// Marks leases dead whose time is over.
// Parameters: lease_seconds (the longest that the job allows), batch (the most leases in one run).
// Columns: marked.
// Repeating: a lease that is dead already is passed over; one that lives again after a renewal and dies once more
//   is marked, but counted in buckets_dead only the first time.
CALL () {
    // include: _expired_leases
    WITH b, c LIMIT $batch
    RETURN collect(b.uuid) AS uuids, collect(c.id) AS ids
}
// include: _lock_held
CALL (uuids, ids) {
    // include: _expired_leases
        AND b.uuid IN uuids AND c.id IN ids
    MATCH (c)-[:STATS]->(s:DMCheckClientStats)
    OPTIONAL MATCH (l:DMCheckLease {id: b.lease})
    SET b.dead_datetime = datetime(),
        s.buckets_dead = s.buckets_dead + CASE WHEN l.died THEN 0 ELSE 1 END,
        l.died = true
    RETURN count(b) AS marked
}
RETURN marked
