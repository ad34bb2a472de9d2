// Reads the next users in name order, and of those that have an answer in force, that answer.
// Parameters: after (a name; '' for the first), slice (how many users to look at), kinds (of relationships that count).
// Columns: last (the name of the last user looked at; null when none), users (a list of [name, id, kind of relationship,
//   client, time]).
// Repeating: reads only.
MATCH (u:User) WHERE u.screen_name > $after
WITH u ORDER BY u.screen_name LIMIT $slice
OPTIONAL MATCH (u)<-[r:DM_YES|DM_NO|DM_UNKNOWN]-(c)
WITH u.screen_name AS name, u.id AS id, type(r) AS kind, c.id AS client, toStringOrNull(r.at) AS at
RETURN max(name) AS last, collect(CASE WHEN kind IN $kinds THEN [name, id, kind, client, at] END) AS users
