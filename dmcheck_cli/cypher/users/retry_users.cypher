// Puts users back who were set aside: make_buckets finds them again. Who has an answer was to be asked about again.
// Parameters: names (null: a batch of all), limits, schema.
// Columns: retried (users). No row: the graph has another version.
// Repeating: who was put back is not set aside any more.
// include: _graph
CALL () {
    CALL () {
        UNWIND $names AS name
        MATCH (u:User {screen_name: name}) WHERE u.dmcheck_aside > datetime({year: 1})
        RETURN u
        UNION
        MATCH (u:User) WHERE $names IS NULL AND u.dmcheck_aside > datetime({year: 1})
        RETURN u LIMIT $limits.batch_users
    }
    WITH u ORDER BY u.screen_name
    REMOVE u.dmcheck_aside
    WITH u, COLLECT { MATCH (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-(c) RETURN CASE WHEN c.id > 0 THEN c.id ELSE 0 END }[0] AS by
    SET u.dmcheck_needs = CASE WHEN by IS NOT NULL THEN 'check' END, u.dmcheck_asked = by
    RETURN count(u) AS retried
}
RETURN retried
