// The leases that a client holds, as they were given.
// Parameters: client.
// Columns: one row a bucket: bucket, lease, priority, expires, names, ids; one row with bucket null when it holds
//   none. No row: the client is not active.
// Repeating: reads only.
MATCH (c:DMCheckClient {id: $client}) WHERE c.state = 'ACTIVE'
OPTIONAL MATCH (c)<-[:DMCHECKCLIENT]-(b:DMCheckBucket)
WITH b ORDER BY b.assigned_datetime, b.uuid
WITH b, COLLECT {
    MATCH (b)<-[:INDMCHECKBUCKET]-(u)
    // include: _checkable
    RETURN u
} AS users
RETURN toStringOrNull(b.uuid) AS bucket, toStringOrNull(b.lease) AS lease, toIntegerOrNull(b.priority) AS priority,
       toStringOrNull(b.expires) AS expires, [u IN users | u.screen_name] AS names, [u IN users |
           // include: _id
       ] AS ids
