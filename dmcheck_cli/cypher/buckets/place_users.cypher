// Puts waiting users into new buckets of nearly equal size, as many as there is room for.
// Parameters: names, size (maximum users per bucket), limits, schema.
// Columns: buckets, users (made and placed). No row: the graph has another version.
// Repeating: under the placing lock, a user who is now in a bucket or answered is skipped.
// include: _graph
MERGE (lock:DMCheckJob {name: 'make_buckets'})
SET lock.name = lock.name
WITH lock
// include: _room
CALL () {
    UNWIND $names AS name
    MATCH (u:User {screen_name: name})
    WHERE
    // include: _waiting
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
    // Those that another program stored: found in any case from now on (`name_users`).
    FOREACH (u IN [x IN members WHERE NOT x:DMCheckName] |
        SET u:DMCheckName,
            u.dmcheck_name = CASE WHEN toLower(u.screen_name) <> u.screen_name THEN toLower(u.screen_name) END)
    RETURN count(b) AS buckets, coalesce(sum(size(members)), 0) AS users
}
RETURN buckets, users
