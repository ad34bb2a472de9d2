// Looks at the next users in the order of their names for what must never be.
// Parameters: after (a name; '' starts from the first), slice (how many users to look at).
// Columns: seen (users looked at), last (the name of the last one; null when none), broken (texts).
// Repeating: reads only.
MATCH (u:User) WHERE u.screen_name > $after
WITH u ORDER BY u.screen_name LIMIT $slice
WITH u, COUNT { (u)-[:INDMCHECKBUCKET]->() } AS buckets, COUNT { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } AS answers
RETURN count(u) AS seen, max(u.screen_name) AS last, collect(CASE
    WHEN buckets > 1 THEN 'user ' + u.screen_name + ' is in ' + buckets + ' buckets'
    WHEN answers > 1 THEN 'user ' + u.screen_name + ' has ' + answers + ' answers'
    WHEN buckets > 0 AND answers > 0 THEN 'user ' + u.screen_name + ' is checked, and in a bucket' END) AS broken
