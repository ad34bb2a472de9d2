// Withdraws the next of a client's opinions, in order of the users' names: they become history.
// Parameters: client, run (names the run that this is a part of), since (ISO 8601; null: all), slice (how many
//   users), schema.
// Columns: done (whether nothing is left), after (the last user's name; null when done), withdrawn, kept, waiting, seconds (of the whole run up to now). No row: no
//   such client, or the graph has another version.
// Repeating: the event of the run keeps how far it came, and its sums.
// include: _graph
// 1. Whoever puts users into buckets, or asks for a recheck, waits; the client's own commands, too.
MERGE (lock:DMCheckJob {name: 'make_buckets'})
SET lock.name = lock.name
WITH lock
MATCH (c:DMCheckClient {id: $client})
REMOVE c.lock
WITH c WHERE c:DMCheckClient
MERGE (e:DMCheckEvent {key: $run})
ON CREATE SET e += {at: datetime(), event: 'distrusted', client: $client, since: $since, after: '', users: 0, kept: 0,
    waiting: 0, seconds: 0}
WITH c, e
// 2. The next users; their buckets, and then they are locked.
CALL (c, e) {
    MATCH (c)-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]->(u:User)
    WHERE u.screen_name > e.after AND ($since IS NULL OR r.at >= datetime($since))
    WITH DISTINCT u.screen_name AS name ORDER BY name LIMIT $slice
    RETURN collect(name) AS names
}
CALL (names) {
    UNWIND names AS name
    MATCH (:User {screen_name: name})-[:INDMCHECKBUCKET]->(b:DMCheckBucket)
    WITH DISTINCT b ORDER BY b.uuid
    REMOVE b.lock
    RETURN collect(b) AS locked
}
CALL (names) {
    UNWIND names AS name
    MATCH (u:User {screen_name: name})
    REMOVE u.lock
}
// 3. Read again. Who is in another bucket by now is left to the next part.
CALL (c, names, locked) {
    UNWIND names AS name
    MATCH (u:User {screen_name: name})
    OPTIONAL MATCH (u)-[m:INDMCHECKBUCKET]->(b)
    WITH c, u, m, b IS NOT NULL AND NOT b IN locked AS missed
    // include: _distrusted
    WITH c, u, m, r, said, others[0][0] AS winner, CASE WHEN missed THEN 'missed' ELSE becomes END AS becomes
    FOREACH (x IN CASE WHEN becomes IN ['alone', 'other', 'second'] THEN [r] ELSE [] END |
        CREATE (c)-[:DM_PAST {at: r.at, candm: said, how: 'withdrawn'}]->(u)
        DELETE x)
    FOREACH (x IN CASE becomes WHEN 'alone' THEN [u] ELSE [] END | REMOVE x.dmcheck_needs, x.dmcheck_asked)
    FOREACH (x IN CASE becomes WHEN 'alone' THEN [m] ELSE [] END | REMOVE x.second)
    FOREACH (x IN CASE WHEN becomes IN ['other', 'second'] AND m IS NULL THEN [u] ELSE [] END |
        SET x.dmcheck_needs = 'look', x.dmcheck_asked = $client)
    WITH u, becomes, CASE becomes WHEN 'other' THEN winner END AS winner
    CALL (u, winner) {
        WITH u, winner, startNode(winner) AS by, winner.candm AS candm WHERE winner IS NOT NULL
        FOREACH (x IN CASE candm WHEN 'DM' THEN [u] ELSE [] END |
            CREATE (by)-[:DM_YES {at: winner.at, witness: winner.witness, counted: winner.counted}]->(x))
        FOREACH (x IN CASE candm WHEN 'NON_DM' THEN [u] ELSE [] END |
            CREATE (by)-[:DM_NO {at: winner.at, witness: winner.witness, counted: winner.counted}]->(x))
        FOREACH (x IN CASE candm WHEN 'UNKNOWN' THEN [u] ELSE [] END |
            CREATE (by)-[:DM_UNKNOWN {at: winner.at, witness: winner.witness, counted: winner.counted}]->(x))
        DELETE winner
    }
    RETURN count(CASE WHEN becomes IN ['alone', 'other'] THEN 1 END) AS withdrawn,
           count(CASE becomes WHEN 'kept' THEN 1 END) AS kept, count(CASE becomes WHEN 'alone' THEN 1 END) AS waiting,
           count(CASE becomes WHEN 'second' THEN 1 END) AS seconds, count(CASE becomes WHEN 'missed' THEN 1 END) AS missed
}
SET e.users = e.users + withdrawn, e.waiting = e.waiting + waiting, e.seconds = e.seconds + seconds,
    e.kept = e.kept + CASE missed WHEN 0 THEN kept ELSE 0 END,
    e.after = CASE WHEN missed > 0 THEN e.after WHEN size(names) = $slice THEN names[-1] END
RETURN e.after IS NULL AS done, e.after AS after, e.users AS withdrawn, e.kept AS kept, e.waiting AS waiting, e.seconds AS seconds
