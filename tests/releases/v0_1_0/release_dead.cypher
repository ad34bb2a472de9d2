CALL () {
    MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(c:DMCheckClient)
    WHERE b.dead_datetime <= datetime() - duration({seconds: $grace_seconds})
    WITH b, c LIMIT $batch
    RETURN collect(b.uuid) AS uuids, collect(c.id) AS ids
}
CALL (ids) {
    UNWIND ids AS id
    WITH DISTINCT id ORDER BY id
    MATCH (c:DMCheckClient {id: id})
    SET c.id = c.id
}
CALL (uuids) {
    UNWIND uuids AS uuid
    WITH uuid ORDER BY uuid
    MATCH (b:DMCheckBucket {uuid: uuid})
    SET b.uuid = b.uuid
}
CALL (uuids, ids) {
    MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(c:DMCheckClient)
    WHERE b.dead_datetime <= datetime() - duration({seconds: $grace_seconds})
        AND b.uuid IN uuids AND c.id IN ids
    WITH collect(b) AS dead
    UNWIND dead AS b
    CALL (b) {
        SET b.ready = rand()
        REMOVE b.assigned_datetime, b.renewed_datetime, b.dead_datetime, b.expires
        WITH b
        OPTIONAL MATCH (b)-[held:DMCHECKCLIENT]->()
        DELETE held
    }
    CALL (b) {
        MATCH (u)-[m:INDMCHECKBUCKET]->(b)
        WHERE NOT coalesce(u.screen_name =~ '[A-Za-z0-9_]{1,20}', false)
        DELETE m
    }
    CALL (b) {
        MATCH (u)-[m:INDMCHECKBUCKET]->(b) WHERE m.priority IS NOT NULL
        WITH m.priority AS priority, collect(m) AS leaving, collect(u) AS users
        CREATE (n:DMCheckBucket {
            uuid: replace(randomUUID(), '-', ''), priority: priority, ready: rand(), edit_datetime: datetime()
        })
        FOREACH (m IN leaving | DELETE m)
        FOREACH (u IN users | CREATE (u)-[:INDMCHECKBUCKET]->(n))
    }
    CALL (b) {
        WITH b WHERE NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-() }
        DETACH DELETE b
    }
    RETURN count(b) AS released
}
RETURN released
