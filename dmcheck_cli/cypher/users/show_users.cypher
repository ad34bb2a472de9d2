// All that is known about users.
// Parameters: names (as stored).
// Columns: name, id, bucket (its uuid), client (that holds it; null for none), aside (when it was set aside; null: it is
//   not), answers (a list of [kind of relationship, client, time, answer or null, whether it was overruled, how it ended]).
// Repeating: reads only.
UNWIND $names AS name
MATCH (u:User {screen_name: name})
OPTIONAL MATCH (u)-[:INDMCHECKBUCKET]->(b:DMCheckBucket)
WITH u, collect(b)[0] AS b
RETURN u.screen_name AS name, u.id AS id, b.uuid AS bucket, toStringOrNull(u.dmcheck_aside) AS aside, COLLECT {
    MATCH (b)-[:DMCHECKCLIENT]->(c) RETURN c.id LIMIT 1
}[0] AS client, COLLECT {
    MATCH (u)<-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND|DM_PAST]-(c)
    RETURN [type(r), c.id, toStringOrNull(r.at), r.candm, r.overruled, r.how]
} AS answers
