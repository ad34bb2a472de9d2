// Keeps one answer in force for each of the next users, in name order: where another system let several clients answer,
// the others become history, as after a recheck; where only second opinions are left, the first of them is in force.
// Corrects who needs another opinion, and who is set aside.
// Parameters: after (a name; '' for the first), slice (how many users to read), schema.
// Columns: seen (users read), last (the name of the last one; null when none), corrected (users). No row: the
//   graph has another version.
// Repeating: a user about whom all is well is left unchanged.
// include: _graph
CALL () {
    MATCH (u:User) WHERE u.screen_name > $after
    WITH u ORDER BY u.screen_name LIMIT $slice
        // include: _odd_opinions
    RETURN count(u) AS seen, max(u.screen_name) AS last, collect(CASE
        WHEN alone OR misplaced OR COUNT { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } > 1 THEN u END) AS odd
}
CALL (odd) {
    // Nobody is put into a bucket meanwhile.
    WITH odd WHERE odd <> []
    MERGE (lock:DMCheckJob {name: 'make_buckets'})
    SET lock.name = lock.name
}
CALL (odd) {
    UNWIND odd AS found
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
CALL (odd) {
    UNWIND odd AS u
        // include: _odd_opinions
    WITH u WHERE alone
    MATCH (u)<-[r:DM_SECOND]-(c)
    WITH u, r, c ORDER BY r.at, elementId(r)
    WITH u, collect({by: c, r: r})[0] AS first
    WITH u, first.by AS c, first.r AS r
    FOREACH (x IN CASE r.candm WHEN 'DM' THEN [r] ELSE [] END |
        CREATE (c)-[n:DM_YES]->(u) SET n = x {.at, .witness, .counted})
    FOREACH (x IN CASE r.candm WHEN 'NON_DM' THEN [r] ELSE [] END |
        CREATE (c)-[n:DM_NO]->(u) SET n = x {.at, .witness, .counted})
    FOREACH (x IN CASE WHEN r.candm IN ['DM', 'NON_DM'] THEN [] ELSE [r] END |
        CREATE (c)-[n:DM_UNKNOWN]->(u) SET n = x {.at, .witness, .counted})
    DELETE r
    SET u.dmcheck_needs = 'look', u.dmcheck_asked = CASE WHEN c.id > 0 THEN c.id ELSE 0 END
}
CALL (odd) {
    // Who could need another opinion is looked at by judge_clients.
    UNWIND odd AS u
        // include: _odd_opinions
    WITH u, answered AND NOT placed AS free WHERE misplaced
    SET u.dmcheck_needs = CASE WHEN free THEN 'look' END, u.dmcheck_asked = CASE WHEN free THEN 0 END,
        u.dmcheck_aside = CASE WHEN NOT free THEN null END
}
RETURN seen, last, size(odd) AS corrected
