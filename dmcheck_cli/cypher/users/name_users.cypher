// Labels the next users in name order, where they are not, and gives those whose names have capitals the name in lower
// case, by which they are found in any case.
// Parameters: after (a name; '' for the first), slice (how many users to look at), schema.
// Columns: named, last (the name of the last user looked at; null when none). No row: the graph has another version.
// Repeating: leaves out users who are labelled.
// include: _graph
CALL () {
    MATCH (u:User) WHERE u.screen_name > $after
    WITH u ORDER BY u.screen_name LIMIT $slice
    RETURN max(u.screen_name) AS last, collect(CASE WHEN NOT u:DMCheckName THEN u END) AS bare
}
FOREACH (u IN bare | SET u:DMCheckName,
    u.dmcheck_name = CASE WHEN toLower(u.screen_name) <> u.screen_name THEN toLower(u.screen_name) END)
RETURN size(bare) AS named, last
