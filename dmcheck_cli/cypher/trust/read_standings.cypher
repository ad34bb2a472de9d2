// What is known about the clients, by id: what `domain/policy/trust` needs for a verdict, and, if `whole`, for a count.
// Parameters: after (the client id to continue after; 0 at first), slice (how many), whole.
// Columns: one row per client: id, dm_from_id, since (when it first registered, in seconds), active (it may take
//   buckets), capacity, allowance (null: as stated), record, share, contained (since when, in seconds), doubted
//   (intervals), compared, contradicted, said, pairs, differ, dm_pairs, dm_differ, watched, times, sums (the last two
//   null unless `whole`), sweeping (from when on its users are to be looked at, in seconds; null: none are).
// Repeating: reads only.
MATCH (c:DMCheckClient) WHERE c.id > $after
WITH c ORDER BY c.id LIMIT $slice
CALL (c) {
    MATCH (c)-[:STATS]->(s:DMCheckClientStats)
    RETURN s LIMIT 1
}
RETURN c.id AS id, toIntegerOrNull(c.dm_from_id) AS dm_from_id,
       CASE WHEN datetime({year: 1970}) < c.create_datetime < datetime({year: 9999})
           THEN c.create_datetime.epochMillis / 1000.0 END AS since,
       coalesce(c.state = 'ACTIVE' AND c.suspended IS NULL, false) AS active,
       toIntegerOrNull(c.capacity) AS capacity, toIntegerOrNull(s.allowance) AS allowance,
       coalesce(s.record, false) AS record, s.share AS share, s.contained AS contained,
       s.doubted AS doubted, s.compared AS compared, s.contradicted AS contradicted, s.said AS said,
       s.pairs AS pairs, s.differ AS differ, s.dm_pairs AS dm_pairs, s.dm_differ AS dm_differ, s.watched AS watched,
       CASE WHEN $whole THEN s.times END AS times, CASE WHEN $whole THEN s.sums END AS sums, s.sweeping AS sweeping
ORDER BY id
