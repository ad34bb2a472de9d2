// Checks all clients for broken invariants, and for answers and times as another system stores them.
// Parameters: none.
// Columns: one row per kind: problem (its name), found (how many), example.
// Repeating: reads only.
CALL () {
    MATCH (c:DMCheckClient)
    // include: _odd_client
    RETURN problem, count(c) AS found, min(toStringOrNull(c.id)) AS example
    UNION ALL
    MATCH (c:DMCheckClient) WHERE c.id IS NOT NULL
    // include: _one_id
    WITH id, count(c) AS nodes WHERE nodes > 1
    RETURN 'clients with several nodes of one id' AS problem, count(id) AS found, min(toStringOrNull(id)) AS example
    UNION ALL
    MATCH (c:DMCheckClient)
    // include: _client_without_id
    RETURN 'clients whose id is no whole number from 1 to 2^63-1' AS problem, count(c) AS found,
           min(toStringOrNull(c.id)) AS example
    UNION ALL
    MATCH (:DMCheckClient)-[old:DM|NonDM|NONDM|NONEXIST]->(u:User)
    RETURN 'answers as an older system stored them' AS problem, count(old) AS found,
           min(toStringOrNull(u.screen_name)) AS example
    UNION ALL
    CALL () {
        MATCH (b:DMCheckBucket)
        RETURN toStringOrNull(b.uuid) AS of, [b.assigned_datetime, b.dead_datetime, b.edit_datetime] AS found
        UNION ALL
        MATCH (c:DMCheckClient)-[:STATS]->(s)
        RETURN toStringOrNull(c.id) AS of, [c.create_datetime, c.edit_datetime, s.last_access_time] AS found
    }
    WITH of, found,
    // include: _moments
        AS times
    WITH of WHERE
    // include: _unread
    RETURN 'buckets and clients with a time that is a text or has no zone' AS problem, count(*) AS found,
           min(of) AS example
}
WITH problem, found, example WHERE found > 0
RETURN problem, found, example
