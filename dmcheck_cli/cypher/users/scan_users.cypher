// Looks at the next users in the order of their names, and tells which of them wait in no bucket.
// Parameters: after (a name; '' starts from the first), slice (how many users to look at).
// Columns: seen (users looked at), last (the name of the last one; null when none), users (those that
//   wait: a list of [name, id]). Names that are no Twitter names are passed over: nobody could answer for them.
// Repeating: reads only.
MATCH (u:User) WHERE u.screen_name > $after
WITH u ORDER BY u.screen_name LIMIT $slice
WITH count(u) AS seen, max(u.screen_name) AS last, collect(CASE
    WHEN u.screen_name =~ '\\w{1,20}' AND
    // include: _waiting
    THEN [u.screen_name, u.id] END) AS users
RETURN seen, last, users
