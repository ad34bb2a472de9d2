// Reads the next users in name order and returns those that are unanswered and in no bucket.
// Parameters: after (a name; '' for the first), slice (how many users to look at).
// Columns: seen (users read), last (the name of the last one; null when none), users (the unanswered ones in no bucket:
//   a list of [name, id]). Skips names that are not Twitter names: they cannot be looked up.
// Repeating: reads only.
MATCH (u:User) WHERE u.screen_name > $after
WITH u ORDER BY u.screen_name LIMIT $slice
WITH count(u) AS seen, max(u.screen_name) AS last, collect(CASE
    WHEN u.screen_name =~ '\\w{1,20}' AND
    // include: _waiting
    THEN [u.screen_name, u.id] END) AS users
RETURN seen, last, users
