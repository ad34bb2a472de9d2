// How names are stored: each as it is, else those that differ from it in case only.
// Parameters: names (a list of [name, the name in lower case]).
// Columns: name (as asked for), stored (names). In their order.
// Repeating: reads only.
UNWIND $names AS name
OPTIONAL MATCH (u:User {screen_name: name[0]})
OPTIONAL CALL (name, u) {
    WITH name WHERE u IS NULL
    CALL (name) {
        MATCH (o:User {screen_name: name[1]}) RETURN o
        // Without the hint, the planner may read the whole index.
        UNION MATCH (o:DMCheckName {dmcheck_name: name[1]}) USING INDEX SEEK o:DMCheckName(dmcheck_name)
        WHERE o:User AND toLower(o.screen_name) = name[1] RETURN o
    }
    WITH o.screen_name AS other ORDER BY other
    RETURN collect(other) AS others
}
RETURN name[0] AS name, CASE WHEN u IS NULL THEN coalesce(others, []) ELSE [name[0]] END AS stored
