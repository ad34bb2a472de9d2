MATCH (c:DMCheckClient {id: $client})-[:STATS]->(s:DMCheckClientStats)
WITH c, s LIMIT 1
SET c.id = c.id
WITH c, s WHERE c.state = 'ACTIVE'
SET s.last_access_time = datetime()
WITH c
OPTIONAL MATCH (target:DMCheckBucket {uuid: $bucket})
SET target.uuid = target.uuid
WITH c, [target] AS locked
OPTIONAL MATCH (l:DMCheckLease {id: $lease})
UNWIND locked AS b
WITH l, b, CASE
    WHEN b.uuid IS NULL AND (l IS NULL OR l.bucket <> $bucket)
        AND NOT EXISTS { (:DMCheckLease {bucket: $bucket}) } THEN 'unknown_bucket'
    WHEN l IS NOT NULL AND NOT coalesce(l.client = c.id, false) THEN 'not_owner'
    WHEN b.lease = $lease AND EXISTS { (b)-[:DMCHECKCLIENT]->(c) } THEN 'held'
    ELSE 'lease_lost' END AS outcome
WITH l, b, outcome, COUNT { (b)<-[:INDMCHECKBUCKET]-() } AS returned
CALL (l, b, outcome, returned) {
    WITH l, b, returned WHERE outcome = 'held'
    SET l.given_back = returned
    WITH b
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
RETURN CASE WHEN outcome = 'lease_lost' AND (b.lease = $lease OR l.given_back IS NOT NULL) THEN 'released'
    ELSE outcome END AS outcome, coalesce(l.given_back, returned) AS returned
