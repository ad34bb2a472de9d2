// Adds users, and stores the id of known users whose id is missing or invalid. A name that is stored in another case is
// known.
// Parameters: users (a list of {screen_name, key (the name in lower case), id (may be null)}, each key once, sorted by
//   name), replace (whether other ids replace the stored ones), twice (those of the names that had several ids, to
//   count as filled), schema.
// Columns: added, existing, filled (whose id is known now; numbers), conflicting (stored names with another id). No row:
//   the graph has another version.
// Repeating: finds the users of the first run; they count as existing.
// include: _graph
// The lock makes one of two transactions see the name that the other adds in another case.
MERGE (lock:DMCheckJob {name: 'users add'})
SET lock.name = lock.name
WITH lock
CALL (lock) {
    UNWIND $users AS row
    OPTIONAL MATCH (u:User {screen_name: row.screen_name})
    OPTIONAL CALL (row, u) {
        WITH row WHERE u IS NULL
        MATCH (o:DMCheckName {dmcheck_name: row.key}) WHERE o:User
        RETURN o ORDER BY o.screen_name LIMIT 1
    }
    RETURN collect({row: row, u: coalesce(u, o)}) AS items
}
CALL (items) {
    UNWIND items AS item
    WITH item.row AS row WHERE item.u IS NULL
    MERGE (n:User {screen_name: row.screen_name})
    ON CREATE SET n:DMCheckName, n.id = row.id, n.dmcheck_name = row.key
    RETURN count(*) AS created, count(CASE WHEN row.screen_name IN $twice THEN 1 END) AS settled
}
CALL (items) {
    UNWIND items AS item
    WITH item.row AS row, item.u AS u WHERE u IS NOT NULL
    WITH row, u, CASE WHEN u.id IS :: INTEGER NOT NULL AND u.id > 0 THEN u.id END AS known
    WITH row, u, CASE
        WHEN row.screen_name IN $twice THEN 'filled'
        WHEN row.id IS NULL OR row.id = known THEN 'existing'
        WHEN known IS NULL OR $replace THEN 'filled'
        ELSE 'conflicting' END AS kind
    FOREACH (id IN CASE kind WHEN 'filled' THEN [row.id] ELSE [] END | SET u.id = id)
    RETURN count(CASE kind WHEN 'existing' THEN 1 END) AS existing, count(CASE kind WHEN 'filled' THEN 1 END) AS refilled,
           collect(CASE kind WHEN 'conflicting' THEN u.screen_name END) AS conflicting
}
RETURN created - settled AS added, existing, refilled + settled AS filled, conflicting
