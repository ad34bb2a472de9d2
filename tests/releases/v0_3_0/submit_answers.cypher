MATCH (:DMCheckSchema {name: 'graph', version: $schema})
MATCH (c:DMCheckClient {id: $client})
REMOVE c.lock
WITH c, [(c)-[:STATS]->(s) | s][0] AS s WHERE c.state = 'ACTIVE' AND s IS NOT NULL
CALL () {
    UNWIND $buckets AS given
    MATCH (b:DMCheckBucket {uuid: given.bucket})
    WITH b ORDER BY b.uuid
    REMOVE b.lock
}
CALL (c) {
    UNWIND $buckets AS given
    OPTIONAL MATCH (b:DMCheckBucket {uuid: given.bucket})
    OPTIONAL MATCH (l:DMCheckLease {id: given.lease, bucket: given.bucket, client: $client})
    RETURN collect({given: given, b: b, l: l, standing: CASE
        WHEN l IS NULL AND EXISTS { (:DMCheckLease {id: given.lease, bucket: given.bucket}) }
            THEN 'not_owner'
        WHEN l.digest IS NOT NULL THEN 'answered'
        WHEN b.newest = l.id THEN 'newest'
        WHEN b IS NULL AND NOT EXISTS {
            (x:DMCheckLease {bucket: given.bucket}) WHERE x.digest IS NOT NULL } THEN 'unknown_bucket'
        ELSE 'lease_lost' END}) AS items
}
CALL (c, items) {
    UNWIND [x IN items WHERE x.standing = 'newest'] AS item
    WITH c, item.given AS given, item.b AS b, item.l AS l,
        [text IN item.given.names | split(text, ' ')] AS named
    CALL (b, named) {
        MATCH (u)-[:INDMCHECKBUCKET]->(b)
    WHERE u.screen_name =~ '\\w{1,20}'
        RETURN count(u) AS members, collect(CASE WHEN toLower(u.screen_name) IN named[0] THEN u END) AS yes,
               collect(CASE WHEN toLower(u.screen_name) IN named[1] THEN u END) AS no,
               collect(CASE WHEN toLower(u.screen_name) IN named[2] THEN u END) AS gone
    }
    WITH *, yes + no + gone AS answered WHERE given.answers = 0 OR members = 0 OR answered <> []
    CALL (given, answered) {
        WITH split(given.spelled, ' ') AS names, [u IN answered | toLower(u.screen_name)] AS here
        WHERE size(answered) < given.answers
        UNWIND [x IN range(0, size(names) - 1) WHERE NOT toLower(names[x]) IN here] AS i
        WITH * WHERE EXISTS { (u:User) WHERE u.screen_name IN [names[i], toLower(names[i])] }
            OR EXISTS { (:DMCheckName {dmcheck_name: toLower(names[i])}) }
        RETURN collect(i) AS refused
    }
    FOREACH (u IN yes | CREATE (c)-[:DM_YES {at: datetime()}]->(u))
    FOREACH (u IN no | CREATE (c)-[:DM_NO {at: datetime()}]->(u))
    FOREACH (u IN gone | CREATE (c)-[:DM_UNKNOWN {at: datetime()}]->(u))
    SET l += {how: CASE WHEN given.answers > size(refused) THEN 'answered' ELSE 'released' END,
        ended: datetime(), users: members, dm: size(yes), non_dm: size(no), unknown: size(gone),
        refused: refused, digest: given.digests[0]}
    FOREACH (x IN CASE WHEN size(answered) = members THEN [b] ELSE [] END | DETACH DELETE x)
    WITH *
    CALL (b, answered, members) {
        WITH b, answered WHERE size(answered) < members
        CALL (b, answered) { UNWIND answered AS u MATCH (u)-[m:INDMCHECKBUCKET]->(b) DELETE m }
    SET b += {place: rand(), assigned_datetime: null, renewed_datetime: null, dead_datetime: null,
        expires: null}
    WITH *
    CALL (b) { OPTIONAL MATCH (b)-[held:DMCHECKCLIENT]->() DELETE held }
    CALL (b) {
        MATCH (u)-[m:INDMCHECKBUCKET]->(b) WHERE m.priority IS NOT NULL
        WITH m.priority AS priority, collect(m) AS leaving, collect(u) AS users
        CREATE (n:DMCheckBucket {uuid: replace(randomUUID(), '-', ''), priority: priority,
            place: rand(), edit_datetime: datetime()})
        FOREACH (m IN leaving | DELETE m)
        FOREACH (u IN users | CREATE (u)-[:INDMCHECKBUCKET]->(n))
    }
    CALL (b) {
        WITH b WHERE NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-(u) WHERE u.screen_name =~ '\\w{1,20}' }
        DETACH DELETE b
    }
    }
    RETURN count(CASE l.how WHEN 'answered' THEN 1 END) AS processed,
           count(CASE WHEN refused <> [] THEN 1 END) AS strange,
           count(CASE WHEN 0 < members <= size(answered) * 2 THEN 1 END) AS finished
}
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
