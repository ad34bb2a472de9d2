CALL () { MATCH (b:DMCheckBucket) RETURN count(b) AS buckets }
CALL () { MATCH ()-[held:DMCHECKCLIENT]->() RETURN count(held) AS held }
CALL () { MATCH (c:DMCheckClient) WHERE c.state = 'ACTIVE' RETURN count(c) AS active }
CALL () {
    MATCH (b:DMCheckBucket) WHERE b.priority < $default_priority AND b.ready IS NOT NULL
    RETURN count(CASE WHEN coalesce(b.raised_from, b.priority) < $default_priority THEN 1 END) AS urgent
}
WITH *, active * $per_client AS wanted
WITH *, wanted - (buckets - held) + CASE WHEN urgent > wanted / 2 THEN urgent - wanted / 2 ELSE 0 END AS room
OPTIONAL MATCH (job:DMCheckJob {name: 'make_buckets'})
RETURN room, CASE WHEN job.cursor IS :: STRING NOT NULL THEN job.cursor ELSE '' END AS cursor
