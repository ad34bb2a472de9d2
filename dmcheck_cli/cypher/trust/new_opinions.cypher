// The next users whose opinions are to be looked at.
// Parameters: limits.
// Columns: one row per user: name, opinions (in the order in which they came: a list of [element id, client, kind of
//   relationship, answer of a second opinion, time in seconds, the answer it was compared with, whether it is a second
//   opinion]).
// Repeating: reads only.
MATCH (u:User) WHERE u.dmcheck_needs = 'look' AND u.dmcheck_asked IS NOT NULL
WITH u LIMIT $limits.batch_opinions
RETURN u.screen_name AS name, COLLECT {
    // include: _opinions
    WITH r, c,
    // include: _said_at
        AS at
    RETURN [elementId(r), c.id, type(r), r.candm, at, r.counted, r.witness] ORDER BY at, elementId(r)
} AS opinions
