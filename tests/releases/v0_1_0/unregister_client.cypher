MATCH (c:DMCheckClient {id: $id})
SET c.id = c.id
WITH c, c.screen_name <> $screen_name AS wrong
FOREACH (x IN CASE WHEN wrong OR c.state = 'DEACTIVE' THEN [] ELSE [c] END |
    SET x.state = 'DEACTIVE', x.edit_datetime = datetime()
)
WITH c, wrong
CALL (c, wrong) {
    WITH c WHERE NOT wrong
    MATCH (c)<-[:DMCHECKCLIENT]-(held:DMCheckBucket)
    WITH held ORDER BY held.uuid
    SET held.uuid = held.uuid
    WITH collect(held) AS locked
    UNWIND locked AS b
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
    RETURN count(b) AS returned
}
RETURN CASE WHEN wrong THEN 'wrong_details' ELSE 'unregistered' END AS outcome, returned,
       c {
           .id, screen_name: toStringOrNull(c.screen_name), state: toStringOrNull(c.state),
           capacity: toIntegerOrNull(c.capacity), dm_from_id: toIntegerOrNull(c.dm_from_id),
           dm_from_screen_name: toStringOrNull(c.dm_from_screen_name),
           first_registered: toStringOrNull(c.create_datetime), last_registered: toStringOrNull(c.edit_datetime)
       } AS client
