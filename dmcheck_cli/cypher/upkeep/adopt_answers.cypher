// Keeps one answer in force for each of the next users, in name order, where another system let several clients answer.
// The others become history, as after a recheck.
// Parameters: after (a name; '' for the first), slice (how many users to read), schema.
// Columns: seen (users read), last (the name of the last one; null when none). No row: the graph has another version.
// Repeating: a user with one answer is left unchanged.
// include: _graph
CALL () {
    MATCH (u:User) WHERE u.screen_name > $after
    WITH u ORDER BY u.screen_name LIMIT $slice
    RETURN count(u) AS seen, max(u.screen_name) AS last, collect(CASE
        WHEN COUNT { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } > 1 THEN u END) AS several
}
CALL (several) {
    UNWIND several AS found
    SET found.screen_name = found.screen_name
    WITH collect(found) AS locked
    UNWIND locked AS u
    MATCH (c)-[answer:DM_YES|DM_NO|DM_UNKNOWN]->(u)
    // No data says which client is right. UNKNOWN stays only if no client has seen the account.
    WITH u, c, answer ORDER BY CASE type(answer) WHEN 'DM_YES' THEN 0 WHEN 'DM_NO' THEN 1 ELSE 2 END, c.id
    WITH u, collect({by: c, answer: answer})[1..] AS others
    UNWIND others AS other
    WITH u, other.by AS c, other.answer AS answer
    CREATE (c)-[:DM_PAST {at: answer.at, candm: CASE type(answer)
        WHEN 'DM_YES' THEN 'DM' WHEN 'DM_NO' THEN 'NON_DM' ELSE 'UNKNOWN' END}]->(u)
    DELETE answer
}
RETURN seen, last
