// Users who need another opinion, those asked by few clients together, from a random client on, wrapping around.
// Parameters: needs (a list of texts), start (the id of a client), most (how many users).
// Columns: one row per user whom somebody may check: name, needs, heard (ids of those who answered), sources (their dm_from_ids).
// Repeating: reads only.
UNWIND range(0, size($needs) - 1) AS rank
UNWIND [0, 1] AS arc
CALL (rank, arc) {
    MATCH (u:User) WHERE arc = 0 AND u.dmcheck_needs = $needs[rank] AND u.dmcheck_asked >= $start
    RETURN u ORDER BY u.dmcheck_needs, u.dmcheck_asked LIMIT $most
    UNION ALL
    MATCH (u:User) WHERE arc = 1 AND u.dmcheck_needs = $needs[rank] AND u.dmcheck_asked < $start
    RETURN u ORDER BY u.dmcheck_needs, u.dmcheck_asked LIMIT $most
}
WITH u, rank, COLLECT {
    // include: _opinions
    RETURN [c.id, c.dm_from_id]
} AS said
WITH u, rank, said WHERE EXISTS {
    (c:DMCheckClient)-[:STATS]->(s) WHERE c.state = 'ACTIVE' AND c.suspended IS NULL AND s.contained IS NULL
        AND NOT any(x IN said WHERE coalesce(x[0] = c.id OR x[1] = c.dm_from_id, false))
}
WITH u, rank, said LIMIT $most
RETURN u.screen_name AS name, u.dmcheck_needs AS needs, [x IN said WHERE x[0] IS NOT NULL | x[0]] AS heard,
       [x IN said WHERE x[1] IS NOT NULL | x[1]] AS sources
ORDER BY rank
