// What a run of judge_clients begins with.
// Parameters: none.
// Columns: round (how many batches were written so far), common (the correlation of errors at which all users were last
//   looked at), now (seconds).
// Repeating: reads only.
OPTIONAL MATCH (job:DMCheckJob {name: 'judge_clients'})
RETURN coalesce(job.round, 0) AS round, coalesce(job.common, 0.0) AS common,
       datetime().epochMillis / 1000.0 AS now
