// Ends a client's suspension and its containment. What it said while contained stays doubted, and its counts start at zero.
// Parameters: id, limits, schema.
// Columns: client (a map). No row: no such client, or the graph has another version.
// Repeating: the second run finds it neither suspended nor contained.
// include: _graph
// judge_clients writes from what it read before; it must see that this has changed.
MERGE (job:DMCheckJob {name: 'judge_clients'})
SET job.name = job.name
WITH job
MATCH (c:DMCheckClient {id: $id})
REMOVE c.lock
WITH c, job WHERE c:DMCheckClient
CALL (c) {
    OPTIONAL MATCH (c)-[:STATS]->(s:DMCheckClientStats) WHERE s.contained IS NOT NULL
    RETURN collect(s) AS contained
}
WITH c, job, contained, CASE WHEN c.suspended IS NULL AND contained = [] THEN [] ELSE [c] END AS ending
FOREACH (s IN contained |
    SET job.round = coalesce(job.round, 0) + 1, s.doubted = coalesce(s.doubted, []) +
        CASE size(coalesce(s.doubted, [])) % 2 WHEN 1 THEN [datetime().epochMillis / 1000.0] ELSE [] END
    REMOVE s.contained, s.compared, s.contradicted, s.times, s.sums, s.record, s.share
)
FOREACH (x IN ending |
    REMOVE x.suspended, x.suspend_reason
    CREATE (:DMCheckEvent {at: datetime(), event: 'resumed', client: $id, users: 0})
)
WITH c
RETURN
       // include: _client
