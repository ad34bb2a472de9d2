// What withdrawing the next of a client's opinions, in order of the users' names, would do.
// Parameters: client, since (ISO 8601; null: all), after (a name; '' for the first), slice (how many users to look at).
// Columns: last (the last user's name; null when there are no more), withdrawn, kept, waiting (answers in force), seconds (second
//   opinions). No row: no such client.
// Repeating: reads only.
MATCH (c:DMCheckClient {id: $client})
CALL (c) {
    MATCH (c)-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]->(u:User)
    WHERE u.screen_name > $after AND ($since IS NULL OR r.at >= datetime($since))
    WITH DISTINCT u ORDER BY u.screen_name LIMIT $slice
    RETURN collect(u) AS users
}
CALL (c, users) {
    UNWIND users AS u
    // include: _distrusted
    RETURN count(CASE WHEN becomes IN ['alone', 'other'] THEN 1 END) AS withdrawn,
           count(CASE becomes WHEN 'kept' THEN 1 END) AS kept, count(CASE becomes WHEN 'alone' THEN 1 END) AS waiting,
           count(CASE becomes WHEN 'second' THEN 1 END) AS seconds
}
RETURN CASE size(users) WHEN $slice THEN users[-1].screen_name END AS last, withdrawn, kept, waiting, seconds
