// Writes what was concluded about users, and the counts of the clients that this changed.
// Parameters: round (as read), users (maps of name; opinions: the element ids, as read; needs, asked: who needs another
//   opinion, why, and who was asked first; counted: a list of [element id, answer, '' for none]; force: the element id of the
//   opinion that takes the place of the answer in force, or null), clients (maps of id and the properties to set),
//   schema.
// Columns: settled (false: a user's opinions are not those that were read, and nothing was written). No row: another
//   run has written meanwhile, or the graph has another version.
// Repeating: the second run finds another round.
// include: _graph
// 1. Locks: the round, the clients, the users.
// include: _round
CALL () {
    UNWIND $clients AS one
    WITH one ORDER BY one.id
    MATCH (c:DMCheckClient {id: one.id})
    REMOVE c.lock
}
CALL () {
    UNWIND $users AS given
    WITH given ORDER BY given.name
    MATCH (u:User {screen_name: given.name})
    REMOVE u.lock
}
// 2. Are they as they were read? Whoever was deleted meanwhile counts, too.
CALL () {
    UNWIND $users AS given
    OPTIONAL MATCH (u:User {screen_name: given.name})
    WITH given, u, COLLECT {
    // include: _opinions
        WITH r,
    // include: _said_at
            AS at
        RETURN elementId(r) ORDER BY at, elementId(r)
    } AS opinions
    RETURN count(CASE WHEN u IS NULL OR opinions <> given.opinions THEN 1 END) = 0 AS settled
}
// 3. The clients' counts.
FOREACH (x IN CASE WHEN settled THEN [job] ELSE [] END | SET x.round = coalesce(x.round, 0) + 1)
WITH settled
CALL (settled) {
    UNWIND CASE WHEN settled THEN $clients ELSE [] END AS one
    MATCH (c:DMCheckClient {id: one.id})-[:STATS]->(s:DMCheckClientStats)
    SET s += one.set
}
// 4. The users, and their opinions.
CALL (settled) {
    UNWIND CASE WHEN settled THEN $users ELSE [] END AS given
    MATCH (u:User {screen_name: given.name})
    // Who is set aside is asked for when an operator puts it back.
    SET u.dmcheck_needs = CASE WHEN u.dmcheck_aside IS NULL THEN given.needs END,
        u.dmcheck_asked = CASE WHEN u.dmcheck_aside IS NULL THEN given.asked END
    WITH u, given
    CALL (u, given) {
        UNWIND given.counted AS one
    // include: _opinions
        WHERE elementId(r) = one[0]
        SET r.counted = one[1]
    }
    WITH u, given WHERE given.force IS NOT NULL
    MATCH (u)<-[old:DM_YES|DM_NO|DM_UNKNOWN]-(before), (u)<-[new:DM_SECOND]-(after) WHERE elementId(new) = given.force
    CREATE (before)-[o:DM_SECOND {candm: CASE type(old)
        WHEN 'DM_YES' THEN 'DM' WHEN 'DM_NO' THEN 'NON_DM' ELSE 'UNKNOWN' END, overruled: true}]->(u)
    SET o += old {.at, .witness, .counted}
    FOREACH (x IN CASE new.candm WHEN 'DM' THEN [new] ELSE [] END |
        CREATE (after)-[n:DM_YES]->(u) SET n = x {.at, .witness, .counted})
    FOREACH (x IN CASE new.candm WHEN 'NON_DM' THEN [new] ELSE [] END |
        CREATE (after)-[n:DM_NO]->(u) SET n = x {.at, .witness, .counted})
    FOREACH (x IN CASE new.candm WHEN 'UNKNOWN' THEN [new] ELSE [] END |
        CREATE (after)-[n:DM_UNKNOWN]->(u) SET n = x {.at, .witness, .counted})
    DELETE old, new
}
RETURN settled
