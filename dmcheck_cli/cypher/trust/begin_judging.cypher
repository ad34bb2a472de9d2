// What a run of judge_clients begins with.
// Parameters: none.
// Columns: round (how many batches were written so far), now (seconds).
// Repeating: reads only.
OPTIONAL MATCH (job:DMCheckJob {name: 'judge_clients'})
RETURN coalesce(job.round, 0) AS round, datetime().epochMillis / 1000.0 AS now
