// Notes that a job has run to its end.
// Parameters: name, cursor (where make_buckets goes on next time; null for other jobs).
// Columns: none.
// Repeating: notes it again.
MERGE (job:DMCheckJob {name: $name})
SET job.last_success_time = datetime(), job.cursor = coalesce($cursor, job.cursor)
