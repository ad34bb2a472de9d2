// A bucket: who holds it, and the times by which jobs decide what becomes of it.
// Parameters: bucket (its uuid), limits.
// Columns: now, bucket, priority, urgent (counts as prioritized), users (those in it without an answer), client, lease,
//   since (it waits, or is leased), expires, dead (since when). No row: there is no such bucket.
// Repeating: reads only.
MATCH (b:DMCheckBucket {uuid: $bucket})
WITH b, COLLECT { MATCH (b)-[:DMCHECKCLIENT]->(c) RETURN c LIMIT 1 } AS holders
RETURN toString(datetime()) AS now, b.uuid AS bucket, toIntegerOrNull(b.priority) AS priority,
       coalesce(b.raised_from, b.priority) < $limits.default_priority AS urgent,
       COUNT {
           (b)<-[:INDMCHECKBUCKET]-(u) WHERE NOT
    // include: _checked
       } AS users,
       toIntegerOrNull(holders[0].id) AS client, CASE holders WHEN [] THEN null ELSE b.newest END AS lease,
       toStringOrNull(CASE holders WHEN [] THEN b.edit_datetime ELSE b.assigned_datetime END) AS since,
       toStringOrNull(b.expires) AS expires, toStringOrNull(b.dead_datetime) AS dead
