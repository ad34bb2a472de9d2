// Gives a held lease its full time again, from now; a dead one that is not released yet lives again.
// Parameters: client, bucket, lease, lease_seconds.
// Columns: outcome ('held', 'unknown_bucket', 'not_owner', 'lease_lost'), expires. No row: the client is not active.
// Repeating: counts the full time from the last run.
// include: _own_lease
FOREACH (x IN CASE outcome WHEN 'held' THEN [b] ELSE [] END |
    SET x.renewed_datetime = datetime(), x.expires = datetime() + duration({seconds: $lease_seconds})
    REMOVE x.dead_datetime
)
RETURN outcome, CASE outcome WHEN 'held' THEN toString(b.expires) END AS expires
