// Marks leases dead whose time is over.
// Parameters: lease_seconds (the longest that the job allows), start_allowance, batch (the most leases in one run).
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
    // include: _counters
    WITH c, s, collect(b) AS ending, collect(CASE WHEN l.died THEN null ELSE l END) AS deaths
    // include: _allowance
    FOREACH (b IN ending | SET b.dead_datetime = datetime())
    FOREACH (l IN deaths | SET l.died = true)
    FOREACH (x IN CASE deaths WHEN [] THEN [] ELSE [s] END |
        SET x.buckets_dead = x.buckets_dead + size(deaths),
            x.allowance = toInteger(earned / 2 ^ size(deaths)), x.faults_judged = x.buckets_fault,
            x.judged_for = 'died', x.judged_datetime = datetime()
    )
    RETURN sum(size(ending)) AS marked
}
RETURN marked
