CALL () {
    MATCH (b:DMCheckBucket)
    WITH b, COLLECT { MATCH (b)-[:DMCHECKCLIENT]->(c) RETURN c } AS holders
    WITH b, size(holders) AS holders, holders[0] AS c
    WITH b, CASE
        WHEN NOT b.uuid IS :: STRING NOT NULL THEN 'buckets whose uuid is no text'
        WHEN NOT b.priority IS :: INTEGER NOT NULL THEN 'buckets whose priority is no whole number'
        WHEN holders > 1 THEN 'buckets held by several clients'
        WHEN holders = 1 AND NOT coalesce(c:DMCheckClient AND c.state = 'ACTIVE' AND c.id IS :: INTEGER NOT NULL, false)
            THEN 'buckets held by a client that is not active'
        WHEN holders = 1 AND b.ready IS NOT NULL THEN 'buckets held, and in line'
        WHEN holders = 1 AND NOT EXISTS {
            MATCH (l:DMCheckLease {id: b.lease}) WHERE l.client = c.id AND l.bucket = b.uuid AND l.digest IS NULL
        } THEN 'buckets held under no lease on record'
        WHEN holders = 0 AND NOT b.ready IS :: FLOAT NOT NULL THEN 'buckets neither held nor in line'
        WHEN holders = 0 AND NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-() } THEN 'buckets that wait without a user'
        END AS problem
    WHERE problem IS NOT NULL
    WITH b LIMIT $batch
    RETURN collect(b) AS odd
}
CALL (odd) {
    UNWIND odd AS b
    MATCH (b)-[:DMCHECKCLIENT]->(c)
    WITH DISTINCT c ORDER BY c.id
    SET c.id = c.id
}
CALL (odd) {
    UNWIND odd AS b
    WITH b ORDER BY b.uuid
    SET b.uuid = b.uuid
    RETURN collect(b) AS locked
}
CALL (locked) {
    UNWIND locked AS b
    WITH b, COLLECT { MATCH (b)-[:DMCHECKCLIENT]->(c) RETURN c } AS holders
    WITH b, size(holders) AS holders, holders[0] AS c
    WITH b, CASE
        WHEN NOT b.uuid IS :: STRING NOT NULL THEN 'buckets whose uuid is no text'
        WHEN NOT b.priority IS :: INTEGER NOT NULL THEN 'buckets whose priority is no whole number'
        WHEN holders > 1 THEN 'buckets held by several clients'
        WHEN holders = 1 AND NOT coalesce(c:DMCheckClient AND c.state = 'ACTIVE' AND c.id IS :: INTEGER NOT NULL, false)
            THEN 'buckets held by a client that is not active'
        WHEN holders = 1 AND b.ready IS NOT NULL THEN 'buckets held, and in line'
        WHEN holders = 1 AND NOT EXISTS {
            MATCH (l:DMCheckLease {id: b.lease}) WHERE l.client = c.id AND l.bucket = b.uuid AND l.digest IS NULL
        } THEN 'buckets held under no lease on record'
        WHEN holders = 0 AND NOT b.ready IS :: FLOAT NOT NULL THEN 'buckets neither held nor in line'
        WHEN holders = 0 AND NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-() } THEN 'buckets that wait without a user'
        END AS problem
    WHERE problem IS NOT NULL
    SET b.uuid = CASE WHEN b.uuid IS :: STRING NOT NULL THEN b.uuid ELSE replace(randomUUID(), '-', '') END,
        b.priority = CASE WHEN b.priority IS :: INTEGER NOT NULL THEN b.priority ELSE $default_priority END
    WITH b
    OPTIONAL MATCH (b)-[held:DMCHECKCLIENT]->(c)
    OPTIONAL MATCH (l:DMCheckLease {id: b.lease})
    WITH b, held, c, l, CASE
        WHEN NOT coalesce(c:DMCheckClient AND c.state = 'ACTIVE' AND c.id IS :: INTEGER NOT NULL, false) THEN 'nobody'
        WHEN l.client = c.id AND l.bucket = b.uuid AND l.digest IS NULL THEN 'as recorded'
        ELSE 'off the record' END AS holds ORDER BY holds
    WITH b, collect(held) AS holders, collect(c)[0] AS c, collect(l)[0] AS l, collect(holds)[0] AS holds
    FOREACH (held IN CASE holds WHEN 'nobody' THEN holders ELSE holders[1..] END | DELETE held)
    FOREACH (x IN CASE holds WHEN 'nobody' THEN [] ELSE [b] END | REMOVE x.ready)
    FOREACH (x IN CASE holds WHEN 'off the record' THEN [b] ELSE [] END |
        SET x.lease = CASE WHEN l IS NULL AND x.lease IS :: STRING NOT NULL THEN x.lease ELSE randomUUID() END
        CREATE (:DMCheckLease {id: x.lease, client: c.id, bucket: x.uuid, assigned_datetime: CASE
            WHEN x.assigned_datetime IS :: ZONED DATETIME NOT NULL THEN x.assigned_datetime ELSE datetime() END})
    )
    WITH b, holds
    CALL (b, holds) {
        WITH b WHERE holds = 'nobody'
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
    }
    RETURN count(b) AS adopted
}
RETURN adopted
