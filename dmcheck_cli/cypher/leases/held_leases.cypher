// The leases that a client holds, as handed out.
// Parameters: client, schema.
// Columns: one row per bucket: bucket, lease, priority, expires, users (a list of [name, id]); one row with bucket null
//   when it holds none. No row: the client is not active, or the graph has another version.
// Repeating: reads only.
// include: _graph
MATCH (c:DMCheckClient {id: $client}) WHERE c.state = 'ACTIVE' AND c.suspended IS NULL
OPTIONAL MATCH (c)<-[:DMCHECKCLIENT]-(b:DMCheckBucket)
WITH b ORDER BY b.assigned_datetime, b.uuid
RETURN
       // include: _as_given
