// Moves waiting users into new buckets of a priority, those set aside among them; marks users under lease to follow if
// they come back.
// Parameters: names (each once), priority, size (maximum users per bucket),
//   recheck (true: checked users wait again, and what was said of them becomes history), limits, schema.
// Columns: prioritized, under_lease (users), already_checked, unknown (names), missed (users whose bucket changed
//   before it was locked; run again). No row: the graph has another version.
// Repeating: users in a bucket of that priority, or in a raised one, stay there and are counted again.
// include: _graph
CALL () {
    UNWIND $names AS name
    MATCH (u:User {screen_name: name})
    RETURN count(u) AS known
}
CALL (known) {
    WITH known WHERE known > 0
    MERGE (lock:DMCheckJob {name: 'make_buckets'})
    SET lock.name = lock.name
}
CALL () {
    UNWIND $names AS name
    MATCH (:User {screen_name: name})-[:INDMCHECKBUCKET]->(old:DMCheckBucket)
    WITH DISTINCT old ORDER BY old.uuid
    REMOVE old.lock
    RETURN collect(old) AS locked
}
CALL (locked) {
    UNWIND $names AS name
    OPTIONAL MATCH (u:User {screen_name: name})
    OPTIONAL MATCH (u)-[m:INDMCHECKBUCKET]->(b:DMCheckBucket)
    WITH name, u, m, b, CASE
        WHEN u IS NULL THEN 'unknown'
        WHEN NOT $recheck AND (b IS NULL OR m.second IS NOT NULL) AND
    // include: _checked
            THEN 'checked'
        WHEN b IS NULL THEN 'move'
        WHEN NOT b IN locked THEN 'missed'
        WHEN EXISTS { (b)-[:DMCHECKCLIENT]->() } THEN 'leased'
        // Who was there for a second opinion leaves those who were heard before.
        WHEN m.second IS NULL AND (b.priority = $priority OR b.raised_from IS NOT NULL) THEN 'stay'
        ELSE 'move' END AS where
    RETURN collect({
        name: name, u: u, m: m, where: where, raised: b.raised_from IS NOT NULL,
        since: CASE WHEN m.second IS NULL AND b.priority < $limits.default_priority THEN b.edit_datetime END
    }) AS users
}
FOREACH (user IN [x IN users WHERE x.where = 'leased'] | FOREACH (m IN [user.m] | REMOVE m.second))
FOREACH (user IN [x IN users WHERE x.where = 'leased' AND NOT x.raised] |
    FOREACH (m IN [user.m] | SET m.priority = $priority))
// Users keep the start of an earlier prioritized wait, so prioritizing repeatedly cannot postpone their turn.
WITH locked, users, [x IN users WHERE x.where = 'move'] AS leaving
WITH locked, users, [x IN leaving | x.u] AS moving, [x IN leaving | x.m] AS old,
     reduce(first = datetime(), x IN leaving | CASE WHEN x.since < first THEN x.since ELSE first END) AS since
FOREACH (m IN old | DELETE m)
WITH locked, users, moving, since
CALL (users) {
    UNWIND [x IN users WHERE x.where IN ['move', 'stay', 'leased']] AS x
    WITH x.u AS u WHERE $recheck OR u.dmcheck_aside IS NOT NULL
    WITH u ORDER BY u.screen_name
    REMOVE u.dmcheck_aside, u.dmcheck_needs, u.dmcheck_asked
    WITH collect(u) AS free
    UNWIND free AS u
    WITH u WHERE $recheck
    // include: _opinions
    CREATE (c)-[:DM_PAST {at: r.at, candm: CASE type(r)
        WHEN 'DM_YES' THEN 'DM' WHEN 'DM_NO' THEN 'NON_DM' WHEN 'DM_UNKNOWN' THEN 'UNKNOWN' ELSE r.candm END}]->(u)
    DELETE r
}
CALL (moving, since) {
    UNWIND moving AS u
    WITH since, u, rand() AS place ORDER BY place
    WITH since, collect(u) AS mixed, count(u) AS n
    WITH since, mixed, n, toInteger(ceil(toFloat(n) / $size)) AS parts
    UNWIND range(0, parts - 1) AS i
    WITH since, mixed[i * n / parts .. (i + 1) * n / parts] AS members
    CREATE (b:DMCheckBucket {
        uuid: replace(randomUUID(), '-', ''), priority: $priority, place: rand(), edit_datetime: since
    })
    FOREACH (u IN members | CREATE (u)-[:INDMCHECKBUCKET]->(b))
}
CALL (locked) {
    UNWIND locked AS b
    WITH b WHERE NOT EXISTS { (b)-[:DMCHECKCLIENT]->() } AND NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-() }
    DETACH DELETE b
}
RETURN size([x IN users WHERE x.where IN ['move', 'stay']]) AS prioritized,
       size([x IN users WHERE x.where = 'leased']) AS under_lease,
       [x IN users WHERE x.where = 'checked' | x.name] AS already_checked,
       [x IN users WHERE x.where = 'unknown' | x.name] AS unknown,
       size([x IN users WHERE x.where = 'missed']) AS missed
