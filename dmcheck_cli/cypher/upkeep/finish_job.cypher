// Records that a job ran to completion, and what the run cost.
// Parameters: name, cursor (where make_buckets continues next time; null for other jobs), cost (a map: last_seconds,
//   last_statements, last_round_trips, last_rows, last_retries, last_waited_seconds), schema.
// Columns: finished (always true). No row: the graph has another version.
// Repeating: records it again. The cost is that of the last run: a sum over runs would count a repeated one twice.
// include: _graph
MERGE (job:DMCheckJob {name: $name})
SET job += $cost, job.last_success_time = datetime()
// Does not keep the name of a user who was deleted meanwhile.
FOREACH (name IN CASE WHEN $cursor = '' OR EXISTS { (:User {screen_name: $cursor}) } THEN [$cursor] ELSE [] END |
    SET job.cursor = name)
RETURN true AS finished
