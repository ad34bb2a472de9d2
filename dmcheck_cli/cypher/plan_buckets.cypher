// What make_buckets needs to know before it starts.
// Parameters: per_client (buckets that should wait for each active client).
// Columns: room (buckets that may still be made), cursor (the name up to which the last runs have looked).
// Repeating: reads only.
CALL () { MATCH (b:DMCheckBucket) RETURN count(b) AS buckets }
CALL () { MATCH ()-[held:DMCHECKCLIENT]->() RETURN count(held) AS held }
CALL () { MATCH (c:DMCheckClient) WHERE c.state = 'ACTIVE' RETURN count(c) AS active }
OPTIONAL MATCH (job:DMCheckJob {name: 'make_buckets'})
RETURN active * $per_client - (buckets - held) AS room, coalesce(job.cursor, '') AS cursor
