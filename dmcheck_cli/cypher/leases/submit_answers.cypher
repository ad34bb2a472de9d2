// Takes a client's answers for buckets that it leased, and ends those leases.
// Parameters: client, buckets (a list of {bucket, lease, digests (of the answers: what is stored, and what older releases
//   stored), answers (how many), names (three texts: the names answered DM, NON_DM and UNKNOWN, in lower case, separated
//   by spaces), spelled (a text of all names)}), repeated (true: an earlier attempt may have been committed, so refusals
//   are not counted again), limits, schema.
// Columns: one row per bucket: bucket, outcome ('accepted', or the reason for a refusal: 'unknown_bucket', 'not_owner',
//   'lease_lost', 'payload_changed'; 'newest': none of the answers is for a user of it), users (how many the bucket had),
//   accepted (answers), refused (the refused names, as their places in `spelled`). The last row has no bucket. No row:
//   the client is not active, or the graph has another version.
// Repeating: the lease keeps the digest of the answers that ended it and the report; the same answers get the same
//   report and change nothing.
// include: _graph
// 1. The client, and 2. its buckets, locked in order, each with the standing of its lease.
// include: _standing
CALL (c, s, items) {
    UNWIND [x IN items WHERE x.standing = 'newest'] AS item
    WITH c, s, item.given AS given, item.b AS b, item.l AS l,
        [text IN item.given.names | split(text, ' ')] AS named
    // 3. The users of the bucket by answer, and strangers: users who are not in it.
    CALL (b, named) {
        MATCH (u)-[m:INDMCHECKBUCKET]->(b)
    // include: _checkable
        WITH u, m.second AS again, toLower(u.screen_name) AS name
        WITH u, again, CASE WHEN name IN named[0] THEN 'DM' WHEN name IN named[1] THEN 'NON_DM'
            WHEN name IN named[2] THEN 'UNKNOWN' END AS said
        RETURN count(u) AS members, collect(CASE WHEN said = 'DM' AND again IS NULL THEN u END) AS yes,
               collect(CASE WHEN said = 'NON_DM' AND again IS NULL THEN u END) AS no,
               collect(CASE WHEN said = 'UNKNOWN' AND again IS NULL THEN u END) AS gone,
               collect(CASE WHEN said IS NOT NULL AND again IS NOT NULL THEN {u: u, said: said} END) AS seconds
    }
    WITH *, yes + no + gone + [x IN seconds | x.u] AS answered WHERE given.answers = 0 OR members = 0 OR answered <> []
    CALL (given, answered) {
        WITH split(given.spelled, ' ') AS names, [u IN answered | toLower(u.screen_name)] AS here
        WHERE size(answered) < given.answers
        UNWIND [x IN range(0, size(names) - 1) WHERE NOT toLower(names[x]) IN here] AS i
        WITH * WHERE EXISTS { (u:User) WHERE u.screen_name IN [names[i], toLower(names[i])] }
            OR EXISTS { (:DMCheckName {dmcheck_name: toLower(names[i])}) }
        RETURN collect(i) AS refused
    }
    // 4. The answers, and who needs another: for every DM, and by chance for the others.
    FOREACH (u IN yes | CREATE (c)-[:DM_YES {at: datetime()}]->(u)
        SET u.dmcheck_needs = 'dm', u.dmcheck_asked = $client)
    FOREACH (u IN no | CREATE (c)-[:DM_NO {at: datetime()}]->(u))
    FOREACH (u IN gone | CREATE (c)-[:DM_UNKNOWN {at: datetime()}]->(u))
    FOREACH (u IN [x IN no + gone WHERE rand() < coalesce(s.share, $limits.newcomer_share)] |
        SET u.dmcheck_needs = 'check', u.dmcheck_asked = $client)
    FOREACH (x IN seconds | FOREACH (u IN [x.u] | SET u.dmcheck_needs = 'look', u.dmcheck_asked = $client
        CREATE (c)-[:DM_SECOND {at: datetime(), candm: x.said, witness: true}]->(u)))
    // 5. The record of the lease, and of how often in a row the bucket came back without an answer.
    SET l += {how: CASE WHEN given.answers > size(refused) THEN 'answered' ELSE 'released' END, ended: datetime(),
        users: members, refused: refused, digest: given.digests[0],
        dm: size(yes) + size([x IN seconds WHERE x.said = 'DM']),
        non_dm: size(no) + size([x IN seconds WHERE x.said = 'NON_DM']),
        unknown: size(gone) + size([x IN seconds WHERE x.said = 'UNKNOWN']),
        first: CASE WHEN seconds <> [] THEN [size(yes), size(no), size(gone)] END}
    SET b += CASE WHEN answered = [] THEN {} ELSE {failures: null, failed_by: null} END
    FOREACH (x IN CASE WHEN answered = [] THEN [b] ELSE [] END |
        // include: _count_failure
    )
    // 6. Deletes the finished bucket; otherwise the rest of it waits again.
    FOREACH (x IN CASE WHEN size(answered) = members THEN [b] ELSE [] END | DETACH DELETE x)
    WITH *
    CALL (b, answered, members) {
        WITH b, answered WHERE size(answered) < members
        CALL (b, answered) { UNWIND answered AS u MATCH (u)-[m:INDMCHECKBUCKET]->(b) DELETE m }
        // include: _give_back
    }
    RETURN count(CASE l.how WHEN 'answered' THEN 1 END) AS processed,
           count(CASE WHEN refused <> [] THEN 1 END) AS strange,
           count(CASE WHEN 0 < members <= size(answered) * 2 THEN 1 END) AS finished
}
// 7. Counts each event once.
WITH *, size([x IN items WHERE NOT coalesce(x.l.digest IN x.given.digests, false)]) AS denied
SET s.last_access_time = datetime(), s.next_fetch = CASE finished WHEN 0 THEN s.next_fetch END,
    s.buckets_processed = coalesce(toIntegerOrNull(s.buckets_processed), 0) + processed,
    s.buckets_fault = coalesce(toIntegerOrNull(s.buckets_fault), 0) + strange +
        CASE WHEN $repeated THEN 0 ELSE denied END
WITH items
UNWIND items + [null] AS item
WITH item.given AS given, item.l AS l, item.standing AS standing
RETURN given.bucket AS bucket, CASE WHEN l.digest IN given.digests THEN 'accepted'
           WHEN standing = 'answered' THEN 'payload_changed' ELSE standing END AS outcome,
       coalesce(l.accepted, l.dm + l.non_dm + l.unknown) AS accepted, l.users AS users,
       l.refused AS refused
