// Checks all clients for broken invariants.
// Parameters: none.
// Columns: one row per kind: problem (its name), found (how many), example.
// Repeating: reads only.
CALL () {
    MATCH (c:DMCheckClient)
    // include: _odd_client
    RETURN problem, count(c) AS found, min(toStringOrNull(c.id)) AS example
    UNION ALL
    MATCH (c:DMCheckClient)
    // include: _client_without_id
    RETURN 'clients whose id is no whole number from 1 to 2^63-1' AS problem, count(c) AS found,
           min(toStringOrNull(c.id)) AS example
}
WITH problem, found, example WHERE found > 0
RETURN problem, found, example
