MATCH (:DMCheckSchema {name: 'graph', version: $schema})
CALL () {
    MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(c:DMCheckClient)
    WHERE b.dead_datetime <= datetime() - duration({seconds: $grace_seconds})
    WITH b, c LIMIT $limits.batch_leases
    RETURN collect(b.uuid) AS uuids, collect(c.id) AS ids
}
CALL (ids) {
    UNWIND ids AS id
    WITH DISTINCT id ORDER BY id
    MATCH (c:DMCheckClient {id: id})
    REMOVE c.lock
}
CALL (uuids) {
    UNWIND uuids AS uuid
    WITH uuid ORDER BY uuid
    MATCH (b:DMCheckBucket {uuid: uuid})
    REMOVE b.lock
}
CALL (uuids, ids) {
    MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(c:DMCheckClient)
    WHERE b.dead_datetime <= datetime() - duration({seconds: $grace_seconds})
        AND b.uuid IN uuids AND c.id IN ids
    WITH collect(b) AS dead
    UNWIND dead AS b
    WITH b, 'died' AS how
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
    RETURN count(b) AS released
}
RETURN released
