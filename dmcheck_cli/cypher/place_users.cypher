// Puts waiting users into new buckets: as many buckets as still have room, of sizes as equal as they can be.
// Parameters: names, size (the most users in a bucket), default_priority, per_client (as in plan_buckets).
// Columns: buckets, users (made and placed).
// Repeating: under the placing lock, a user who is in a bucket or answered by now is left out.
MERGE (lock:DMCheckJob {name: 'make_buckets'})
SET lock.name = lock.name
WITH lock
// include: _room
CALL () {
    UNWIND $names AS name
    MATCH (u:User {screen_name: name})
    WHERE NOT EXISTS { (u)-[:INDMCHECKBUCKET]->() } AND NOT EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() }
    RETURN collect(u) AS free
}
WITH room, free, size(free) AS n, toInteger(ceil(toFloat(size(free)) / $size)) AS parts
UNWIND [i IN range(0, parts - 1) WHERE i < room] AS i
WITH free[i * n / parts .. (i + 1) * n / parts] AS members
CREATE (b:DMCheckBucket {
    uuid: replace(randomUUID(), '-', ''), priority: $default_priority, ready: rand(), edit_datetime: datetime()
})
FOREACH (u IN members | CREATE (u)-[:INDMCHECKBUCKET]->(b))
RETURN count(b) AS buckets, coalesce(sum(size(members)), 0) AS users
