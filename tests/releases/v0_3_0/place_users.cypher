MATCH (:DMCheckSchema {name: 'graph', version: $schema})
MERGE (lock:DMCheckJob {name: 'make_buckets'})
SET lock.name = lock.name
WITH lock
CALL () { MATCH (b:DMCheckBucket) RETURN count(b) AS buckets }
CALL () { MATCH ()-[held:DMCHECKCLIENT]->() RETURN count(held) AS held }
CALL () { MATCH (c:DMCheckClient) WHERE c.state = 'ACTIVE' RETURN count(c) AS active }
CALL () {
    MATCH (b:DMCheckBucket) WHERE b.priority < $limits.default_priority AND b.place IS NOT NULL
    RETURN count(CASE WHEN coalesce(b.raised_from, b.priority) < $limits.default_priority THEN 1 END) AS urgent
}
WITH *, active * $limits.buckets_per_client AS wanted
WITH *, wanted - (buckets - held) + CASE WHEN urgent > wanted / 2 THEN urgent - wanted / 2 ELSE 0 END AS room
CALL () {
    UNWIND $names AS name
    MATCH (u:User {screen_name: name})
    WHERE
    NOT EXISTS { (u)-[:INDMCHECKBUCKET]->() } AND NOT
    EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() }
    RETURN collect(u) AS free
}
WITH room, free, size(free) AS n, toInteger(ceil(toFloat(size(free)) / $size)) AS parts
CALL (room, free, n, parts) {
    UNWIND [i IN range(0, parts - 1) WHERE i < room] AS i
    WITH free[i * n / parts .. (i + 1) * n / parts] AS members
    CREATE (b:DMCheckBucket {
        uuid: replace(randomUUID(), '-', ''), priority: $limits.default_priority, place: rand(),
        edit_datetime: datetime()
    })
    FOREACH (u IN members | CREATE (u)-[:INDMCHECKBUCKET]->(b))
    FOREACH (u IN [x IN members WHERE NOT x:DMCheckName] |
        SET u:DMCheckName,
            u.dmcheck_name = CASE WHEN toLower(u.screen_name) <> u.screen_name THEN toLower(u.screen_name) END)
    RETURN count(b) AS buckets, coalesce(sum(size(members)), 0) AS users
}
RETURN buckets, users
