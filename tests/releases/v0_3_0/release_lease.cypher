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
SET s.last_access_time = datetime()
WITH c, s, items
UNWIND items AS item
WITH c, s, item.b AS b, item.l AS l, item.standing AS standing, coalesce(item.given.failed, false) AS failed
CALL (b, c, s, l, standing, failed) {
    WITH b, s, l, failed, 'released' AS how WHERE standing = 'newest' AND EXISTS { (b)-[:DMCHECKCLIENT]->(c) }
    FOREACH (x IN CASE WHEN failed THEN [s] ELSE [] END |
        SET x.buckets_failed = coalesce(toIntegerOrNull(x.buckets_failed), 0) + 1, l.failed = true)
    WITH b, how
    CALL (b, how) {
        MATCH (l:DMCheckLease {id: b.newest})
        SET l.ended = datetime(), l.how = how, l.users = COUNT { (b)<-[:INDMCHECKBUCKET]-() }
    }
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
RETURN CASE WHEN standing = 'newest' OR l.how = 'released' THEN 'released'
           WHEN standing = 'answered' THEN 'lease_lost' ELSE standing END AS outcome, l.users AS returned
