// Takes over answers as the system before stored them: DM, NonDM or NONDM, NONEXIST.
// Parameters: limits, schema.
// Columns: adopted (answers). No row: the graph has another version.
// Repeating: an answer that was taken over is not found again. Where several are in force then, adopt_answers decides.
// include: _graph
CALL () {
    // Nobody is put into a bucket meanwhile.
    MERGE (lock:DMCheckJob {name: 'make_buckets'})
    SET lock.name = lock.name
}
CALL () {
    MATCH (c:DMCheckClient)-[:DM|NonDM|NONDM|NONEXIST]->(u:User)
    WITH DISTINCT u LIMIT $limits.batch_adopted
    WITH u ORDER BY u.screen_name
    SET u.screen_name = u.screen_name
    RETURN collect(u) AS users
}
CALL (users) {
    UNWIND users AS u
    MATCH (c:DMCheckClient)-[old:DM|NonDM|NONDM|NONEXIST]->(u)
    WITH u, c, old, [old.at, old.edit_datetime, old.create_datetime] AS found
    WITH u, c, old,
    // include: _moments
        AS times
    WITH u, c, old, [t IN times WHERE t IS :: ZONED DATETIME NOT NULL][0] AS at
    FOREACH (x IN CASE type(old) WHEN 'DM' THEN [u] ELSE [] END | CREATE (c)-[:DM_YES {at: at}]->(x))
    FOREACH (x IN CASE WHEN type(old) IN ['NonDM', 'NONDM'] THEN [u] ELSE [] END | CREATE (c)-[:DM_NO {at: at}]->(x))
    FOREACH (x IN CASE type(old) WHEN 'NONEXIST' THEN [u] ELSE [] END | CREATE (c)-[:DM_UNKNOWN {at: at}]->(x))
    DELETE old
    // Whether somebody else has to be asked is looked at by judge_clients.
    FOREACH (x IN CASE WHEN
    // include: _unplaced
            THEN [u] ELSE [] END |
        SET x.dmcheck_needs = 'look', x.dmcheck_asked = coalesce(c.id, 0))
    RETURN count(*) AS adopted
}
RETURN adopted
