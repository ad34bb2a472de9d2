// Records that a job ran to completion.
// Parameters: name, cursor (where make_buckets continues next time; null for other jobs), schema.
// Columns: finished (always true). No row: the graph has another version.
// Repeating: records it again.
// include: _graph
MERGE (job:DMCheckJob {name: $name})
SET job.last_success_time = datetime()
// Does not keep the name of a user who was deleted meanwhile.
FOREACH (name IN CASE WHEN $cursor = '' OR EXISTS { (:User {screen_name: $cursor}) } THEN [$cursor] ELSE [] END |
    SET job.cursor = name)
RETURN true AS finished
