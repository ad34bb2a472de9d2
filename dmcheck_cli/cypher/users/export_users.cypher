// Reads the next users in name order, and of those that have an answer in force, the opinions.
// Parameters: after (a name; '' for the first), slice (how many users to look at), kinds (of relationships that count).
// Columns: last (the name of the last user looked at; null when none), users (one entry per opinion: a list of [name, id,
//   kind of relationship, client, time, answer of a second opinion]).
// Repeating: reads only.
MATCH (u:User) WHERE u.screen_name > $after
WITH u ORDER BY u.screen_name LIMIT $slice
OPTIONAL
    // include: _opinions
WITH u.screen_name AS name, u.id AS id, type(r) AS kind, c.id AS client, toStringOrNull(r.at) AS at, r.candm AS candm
RETURN max(name) AS last, collect(CASE WHEN kind IN $kinds THEN [name, id, kind, client, at, candm] END) AS users
