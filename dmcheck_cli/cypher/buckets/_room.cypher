// How many more buckets may be made: `room`. Prioritized buckets count for at most half of the line, so a flood of them
// cannot keep ordinary users out.
CALL () { MATCH (b:DMCheckBucket) RETURN count(b) AS buckets }
CALL () { MATCH ()-[held:DMCHECKCLIENT]->() RETURN count(held) AS held }
CALL () { MATCH (c:DMCheckClient) WHERE c.state = 'ACTIVE' AND c.suspended IS NULL RETURN count(c) AS active }
CALL () {
    MATCH (b:DMCheckBucket) WHERE b.priority < $limits.default_priority AND b.place IS NOT NULL
    RETURN count(CASE WHEN coalesce(b.raised_from, b.priority) < $limits.default_priority THEN 1 END) AS urgent
}
WITH *, active * $limits.buckets_per_client AS wanted
WITH *, wanted - (buckets - held) + CASE WHEN urgent > wanted / 2 THEN urgent - wanted / 2 ELSE 0 END AS room
