// Suspends a client and puts the buckets it holds back in line.
// Parameters: id, reason (null: keep the stored one), limits, schema.
// Columns: returned (buckets), client (a map). No row: no such client, or the graph has another version.
// Repeating: the second run finds it suspended for that reason, and nothing held; returned is 0.
// include: _graph
MATCH (c:DMCheckClient {id: $id})
REMOVE c.lock
WITH c WHERE c:DMCheckClient
CALL (c) {
    // include: _return_held
}
FOREACH (x IN CASE WHEN c.suspended IS NULL OR c.suspend_reason <> $reason
        OR c.suspend_reason IS NULL AND $reason IS NOT NULL THEN [c] ELSE [] END |
    SET x.suspended = coalesce(x.suspended, datetime()), x.suspend_reason = coalesce($reason, x.suspend_reason)
    CREATE (:DMCheckEvent {at: datetime(), event: 'suspended', client: $id, reason: x.suspend_reason, users: 0})
)
WITH c, returned
RETURN returned,
       // include: _client
