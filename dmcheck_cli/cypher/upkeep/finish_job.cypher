// Notes that a job has run to its end.
// Parameters: name, cursor (where make_buckets goes on next time; null for other jobs), schema.
// Columns: finished (always true). No row: the graph is of another version.
// Repeating: notes it again.
// include: _graph
MERGE (job:DMCheckJob {name: $name})
SET job.last_success_time = datetime()
// The name of a user who was deleted meanwhile is not kept.
FOREACH (name IN CASE WHEN $cursor = '' OR EXISTS { (:User {screen_name: $cursor}) } THEN [$cursor] ELSE [] END |
    SET job.cursor = name)
RETURN true AS finished
