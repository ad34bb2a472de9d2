// Adds users, and fills in the id of known users whose id is missing or invalid.
// Parameters: users (a list of {screen_name, id (may be null)}, each name once, sorted by name), schema.
// Columns: added, existing. No row: the graph has another version.
// Repeating: MERGE on the unique name finds the node of the first run.
// include: _graph
CALL () {
    UNWIND $users AS row
    MERGE (u:User {screen_name: row.screen_name})
    ON CREATE SET u.id = row.id, u.dmcheck_new = true
    WITH u, row, u.dmcheck_new AS new
    SET u.id = CASE WHEN u.id IS :: INTEGER AND u.id > 0 THEN u.id ELSE coalesce(row.id, u.id) END
    REMOVE u.dmcheck_new
    RETURN sum(CASE WHEN new THEN 1 ELSE 0 END) AS added, sum(CASE WHEN new THEN 0 ELSE 1 END) AS existing
}
RETURN added, existing
