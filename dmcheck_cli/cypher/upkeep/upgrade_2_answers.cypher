// Marks the next users, by name, who were said to be open: they need a second opinion.
// Parameters: step (2), after (a name; '' for the first), slice (how many users to look at).
// Columns: last (the name of the last user looked at; null when none). No row: the graph has another version.
// Repeating: leaves out users who are marked.
MATCH (:DMCheckSchema {name: 'graph', upgrading: $step})
CALL () {
    MATCH (u:User) WHERE u.screen_name > $after
    WITH u ORDER BY u.screen_name LIMIT $slice
    OPTIONAL MATCH (u)<-[:DM_YES]-(c) WHERE u.dmcheck_needs IS NULL
    FOREACH (x IN CASE WHEN c IS NULL THEN [] ELSE [u] END |
        SET x.dmcheck_needs = 'dm', x.dmcheck_asked = coalesce(c.id, 0))
    RETURN max(u.screen_name) AS last
}
RETURN last
