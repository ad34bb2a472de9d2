// Whether a client may act, and since when and why it is suspended.
// Parameters: client.
// Columns: active, suspended, reason (null: it is not). No row: no such client.
// Repeating: reads only.
MATCH (c:DMCheckClient {id: $client})
RETURN coalesce(c.state = 'ACTIVE', false) AND EXISTS { (c)-[:STATS]->() } AS active,
       toStringOrNull(c.suspended) AS suspended, toStringOrNull(c.suspend_reason) AS reason
