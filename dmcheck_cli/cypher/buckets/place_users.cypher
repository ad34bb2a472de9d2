// Makes buckets, as they were planned, while there is room for them.
// Parameters: buckets (lists of names), seconds (the names of those in them who are there for a second opinion), limits,
//   schema.
// Columns: buckets, users (made and placed). No row: the graph has another version.
// Repeating: under the placing lock, only users in no bucket are placed, who are unanswered or need another opinion.
// include: _graph
// 1. Locks: placing, and the users whose needs decide.
MERGE (lock:DMCheckJob {name: 'make_buckets'})
SET lock.name = lock.name
WITH lock
CALL () {
    UNWIND $seconds AS name
    WITH name ORDER BY name
    MATCH (u:User {screen_name: name})
    REMOVE u.lock
}
// 2. Who may be placed, and how many buckets.
// include: _room
WITH room
CALL () {
    UNWIND range(0, size($buckets) - 1) AS i
    UNWIND $buckets[i] AS name
    MATCH (u:User {screen_name: name})
    WHERE
    // include: _unplaced
    WITH i, u,
    // include: _checked
        AS checked
    WHERE checked AND u.dmcheck_needs <> 'look' OR NOT checked AND u.dmcheck_aside IS NULL
    WITH i, collect({u: u, second: CASE WHEN checked THEN u.dmcheck_needs END}) AS members ORDER BY i
    RETURN collect(members) AS planned
}
// 3. The buckets. Whoever answered for one of their users before gets none of them.
CALL (room, planned) {
    UNWIND [i IN range(0, size(planned) - 1) WHERE i < room | planned[i]] AS members
    CALL (members) {
        UNWIND [x IN members WHERE x.second IS NOT NULL | x.u] AS u
    // include: _opinions
        RETURN collect(DISTINCT c.id) AS heard, collect(DISTINCT c.dm_from_id) AS sources
    }
    CREATE (b:DMCheckBucket {
        uuid: replace(randomUUID(), '-', ''), priority: $limits.default_priority, place: rand(),
        edit_datetime: datetime(), heard: CASE WHEN heard <> [] THEN heard END,
        sources: CASE WHEN sources <> [] THEN sources END
    })
    FOREACH (x IN members | FOREACH (u IN [x.u] |
        CREATE (u)-[:INDMCHECKBUCKET {second: x.second}]->(b)
        REMOVE u.dmcheck_needs, u.dmcheck_asked))
    // Those that another program stored: found in any case from now on (`name_users`).
    FOREACH (u IN [x IN members WHERE NOT x.u:DMCheckName | x.u] |
        SET u:DMCheckName,
            u.dmcheck_name = CASE WHEN toLower(u.screen_name) <> u.screen_name THEN toLower(u.screen_name) END)
    RETURN count(b) AS buckets, coalesce(sum(size(members)), 0) AS users
}
RETURN buckets, users
