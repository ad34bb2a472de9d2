// When each job last ran to completion, and what that run cost.
// Parameters: names.
// Columns: now, jobs (a list of maps: name, last_success_time, seconds, statements, round_trips, rows, retries, waited;
//   null: not known), former (the counters of the clients that were deleted).
// Repeating: reads only.
CALL () {
    MATCH (job:DMCheckJob) WHERE job.name IN $names
    RETURN collect({
        name: job.name, last_success_time: toStringOrNull(job.last_success_time),
        seconds: toFloatOrNull(job.last_seconds), statements: toIntegerOrNull(job.last_statements),
        round_trips: toIntegerOrNull(job.last_round_trips), rows: toIntegerOrNull(job.last_rows),
        retries: toIntegerOrNull(job.last_retries), waited: toFloatOrNull(job.last_waited_seconds)
    }) AS jobs
}
OPTIONAL MATCH (gone:DMCheckJob {name: 'client delete'})
RETURN toString(datetime()) AS now, jobs, {
    buckets_assigned: coalesce(gone.buckets_assigned, 0), buckets_processed: coalesce(gone.buckets_processed, 0),
    buckets_fault: coalesce(gone.buckets_fault, 0), buckets_dead: coalesce(gone.buckets_dead, 0),
    buckets_failed: coalesce(gone.buckets_failed, 0)
} AS former
