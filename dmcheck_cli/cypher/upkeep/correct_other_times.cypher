// Repairs the times of jobs, events, clients and their counters, and lease times that are not times: see correct_times.
// Parameters: limits, schema.
// Columns: corrected (times). No row: the graph has another version.
// Repeating: a repaired time is not found again.
// include: _graph
CALL () {
    MATCH (n:DMCheckJob)
    WITH n ORDER BY n.name
    SET n.name = n.name
    WITH n, 'last_success_time' AS key
    WHERE n[key] IS NOT NULL
        AND NOT coalesce(n[key] <= datetime() + duration({seconds: $limits.max_skew_seconds}), false)
    SET n[key] =
        // include: _time_as_it_counts
    RETURN count(n) AS jobs
}
CALL () {
    MATCH (c:DMCheckClient)
    // include: _wrong_client_times
    WITH DISTINCT c LIMIT $limits.batch_adopted
    WITH c ORDER BY c.id
    REMOVE c.lock
    RETURN collect(c) AS locked
}
CALL (locked) {
    UNWIND locked AS c
    // include: _wrong_client_times
    SET n[key] =
        // include: _time_as_it_counts
    RETURN count(n) AS clients
}
CALL () {
    MATCH (odd:DMCheckLease) WHERE NOT odd.assigned_datetime IS :: ZONED DATETIME NOT NULL
    WITH odd LIMIT $limits.batch_adopted
    WITH odd ORDER BY odd.id
    SET odd.id = odd.id
    WITH collect(odd) AS locked
    UNWIND locked AS l
    WITH l WHERE NOT l.assigned_datetime IS :: ZONED DATETIME NOT NULL
    SET l.assigned_datetime = datetime()
    RETURN count(l) AS leases
}
CALL () {
    MATCH (e:DMCheckEvent) WHERE e.at > datetime() + duration({seconds: $limits.max_skew_seconds})
    WITH e LIMIT $limits.batch_adopted
    SET e.at = datetime()
    RETURN count(e) AS events
}
RETURN jobs + clients + leases + events AS corrected
