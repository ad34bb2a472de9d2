// Reads what is left to judge: the next clients with leases that ended, or faults that occurred, since their last
// judging.
// Parameters: after (the client id to continue after; 0 at first), limits.
// Columns: one row per client, by id: client, contained, probation, capacity, allowance (null: as stated; never judged), assigned,
//   processed, faults, faults_judged, leases (the earliest to end, in that order: maps of id, how, began and ended in
//   milliseconds, users, dm, non_dm, unknown, first, died, excused, processed_before), left (how many more ended),
//   answered_later (how many of those were answered, excluding the submit of the last one listed).
// Repeating: reads only. Each further batch sorts the client's whole list again, so one batch takes many of its leases.
MATCH (c:DMCheckClient) WHERE c.id > $after
WITH c ORDER BY c.id
CALL (c) {
    MATCH (c)-[:STATS]->(s:DMCheckClientStats)
    RETURN s LIMIT 1
}
CALL (c) {
    // Without the hint, the planner may scan every lease that ever ended, for each client.
    MATCH (l:DMCheckLease) USING INDEX SEEK l:DMCheckLease(unjudged, client) WHERE l.unjudged = true AND l.client = c.id
        AND l.ended IS :: ZONED DATETIME NOT NULL AND l.assigned_datetime IS :: ZONED DATETIME NOT NULL
    WITH l ORDER BY l.ended, l.id
    RETURN collect(l) AS ended
}
WITH c, s, ended, 10 * $limits.batch_leases AS most, coalesce(toIntegerOrNull(s.buckets_fault), 0) AS faults,
     coalesce(toIntegerOrNull(s.faults_judged), 0) AS faults_judged
WHERE ended <> [] OR faults <> faults_judged
LIMIT $limits.batch_leases
RETURN c.id AS client, s.contained IS NOT NULL AS contained, coalesce(s.probation, false) AS probation, toIntegerOrNull(c.capacity) AS capacity,
       toIntegerOrNull(s.allowance) AS allowance, coalesce(toIntegerOrNull(s.buckets_assigned), 0) AS assigned,
       coalesce(toIntegerOrNull(s.buckets_processed), 0) AS processed, faults, faults_judged,
       [l IN ended[..most] | l {
           .id, .how, began: l.assigned_datetime.epochMillis, ended: l.ended.epochMillis, .users, .dm, .non_dm,
           .unknown, .first, .died, .excused, processed_before: toIntegerOrNull(l.processed)
       }] AS leases, size(ended[most..]) AS left, size([l IN ended[most..]
           WHERE l.how = 'answered' AND l.ended > ended[most - 1].ended]) AS answered_later
