// How many more buckets may be made: `room`. Prioritized buckets count for at most half of the line, so a flood of them
// cannot keep ordinary users out. Unless a setting says how many should wait for each active client, as many as were
// taken lately, two for each at least: a second opinion waits in the line, too.
CALL () { MATCH (b:DMCheckBucket) RETURN count(b) AS buckets }
CALL () { MATCH ()-[held:DMCHECKCLIENT]->() RETURN count(held) AS held }
CALL () { MATCH (c:DMCheckClient) WHERE c.state = 'ACTIVE' AND c.suspended IS NULL RETURN count(c) AS active }
CALL () {
    MATCH (l:DMCheckLease) WHERE l.assigned_datetime > datetime() - duration({seconds: $limits.taken_seconds})
    RETURN count(l) AS taken
}
CALL () {
    MATCH (b:DMCheckBucket) WHERE b.priority < $limits.default_priority AND b.place IS NOT NULL
    RETURN count(CASE WHEN coalesce(b.raised_from, b.priority) < $limits.default_priority THEN 1 END) AS urgent
}
WITH *, CASE WHEN $limits.buckets_per_client > 0 THEN active * $limits.buckets_per_client
    WHEN taken > active * $limits.min_buckets_per_client AND active > 0 THEN taken
    ELSE active * $limits.min_buckets_per_client END AS wanted
WITH *, wanted - (buckets - held) + CASE WHEN urgent > wanted / 2 THEN urgent - wanted / 2 ELSE 0 END AS room
