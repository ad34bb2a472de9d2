// What make_buckets needs to know before it starts.
// Parameters: limits.
// Columns: room (buckets that may still be made), cursor (the last name that earlier runs scanned).
// Repeating: reads only.
// include: _room
OPTIONAL MATCH (job:DMCheckJob {name: 'make_buckets'})
RETURN room, CASE WHEN job.cursor IS :: STRING NOT NULL THEN job.cursor ELSE '' END AS cursor
