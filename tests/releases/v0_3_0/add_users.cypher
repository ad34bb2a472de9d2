MATCH (:DMCheckSchema {name: 'graph', version: $schema})
MERGE (lock:DMCheckJob {name: 'users add'})
SET lock.name = lock.name
WITH lock
CALL (lock) {
    UNWIND $users AS row
    OPTIONAL MATCH (u:User {screen_name: row.screen_name})
    RETURN collect(CASE WHEN u IS NULL THEN row END) AS missing,
           collect(CASE WHEN u IS NOT NULL THEN {row: row, u: u} END) AS exact
}
CALL (missing) {
    UNWIND missing AS row
    OPTIONAL MATCH (l:User {screen_name: row.lower})
    OPTIONAL CALL (row, l) {
        WITH row WHERE l IS NULL
        MATCH (o:DMCheckName {dmcheck_name: row.key}) USING INDEX SEEK o:DMCheckName(dmcheck_name) WHERE o:User
        RETURN o ORDER BY o.screen_name LIMIT 1
    }
    WITH row, coalesce(l, o) AS u
    RETURN collect(CASE WHEN u IS NULL THEN row END) AS new,
           collect(CASE WHEN u IS NOT NULL THEN {row: row, u: u} END) AS other
}
CALL (new) {
    UNWIND new AS row
    CREATE (:User:DMCheckName {screen_name: row.screen_name, id: row.id, dmcheck_name: row.lower})
    RETURN count(*) AS created, count(CASE WHEN row.screen_name IN $twice THEN 1 END) AS settled
}
CALL (exact, other) {
    UNWIND exact + other AS item
    WITH item.row AS row, item.u AS u
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
