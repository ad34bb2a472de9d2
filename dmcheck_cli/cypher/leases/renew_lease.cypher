// Restarts the full time of held leases from now; revives a dead one that is not released yet.
// Parameters: client, buckets (a list of {bucket, lease}), lease_seconds, schema.
// Columns: one row per bucket: outcome ('renewed', 'unknown_bucket', 'not_owner', 'lease_lost'), expires. No row: the
//   client is not active, or the graph has another version.
// Repeating: the full time counts from the last run.
// include: _graph
// include: _standing
SET s.last_access_time = datetime()
WITH c, items
UNWIND items AS item
WITH c, item.b AS b, item.standing AS standing
WITH b, CASE WHEN standing = 'newest' AND EXISTS { (b)-[:DMCHECKCLIENT]->(c) } THEN 'renewed'
    WHEN standing IN ['newest', 'answered'] THEN 'lease_lost' ELSE standing END AS outcome
FOREACH (x IN CASE outcome WHEN 'renewed' THEN [b] ELSE [] END |
    SET x += {renewed_datetime: datetime(), expires: datetime() + duration({seconds: $lease_seconds}),
        dead_datetime: null}
)
RETURN outcome, CASE outcome WHEN 'renewed' THEN toString(b.expires) END AS expires
