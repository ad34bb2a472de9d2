// Takes over what an older system left in the graph: clients without counters, users in several buckets or in one
// although they are checked, buckets that nobody holds and that have no place in line, or that are empty.
// Parameters: default_priority.
// Columns: none.
// Repeating: what was taken over is not found again.
CALL () {
    MATCH (c:DMCheckClient) WHERE NOT EXISTS { (c)-[:STATS]->() }
    CREATE (c)-[:STATS]->(:DMCheckClientStats {
        buckets_assigned: 0, buckets_processed: 0, buckets_fault: 0, buckets_dead: 0})
}
CALL () {
    MATCH (b:DMCheckBucket) WHERE b.ready IS NULL
    WITH collect(b) AS stray
    UNWIND stray AS b
    SET b.uuid = b.uuid
    WITH b WHERE b.ready IS NULL AND NOT EXISTS { (b)-[:DMCHECKCLIENT]->() }
    SET b.ready = rand(), b.priority = coalesce(b.priority, $default_priority), b.edit_datetime = datetime()
    REMOVE b.assigned_datetime, b.dead_datetime
}
CALL () {
    MERGE (lock:DMCheckJob {name: 'make_buckets'})
    SET lock.name = lock.name
}
CALL () {
    MATCH (b:DMCheckBucket)<-[:INDMCHECKBUCKET]-(u)
    WHERE COUNT { (u)-[:INDMCHECKBUCKET]->() } > 1 OR EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() }
    WITH DISTINCT u
    MATCH (u)-[:INDMCHECKBUCKET]->(b:DMCheckBucket)
    WITH DISTINCT b ORDER BY b.uuid
    SET b.uuid = b.uuid
    WITH collect(b) AS locked
    UNWIND locked AS b
    MATCH (u)-[:INDMCHECKBUCKET]->(b)
    WITH DISTINCT u
    WITH u, EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } AS checked
    MATCH (u)-[m:INDMCHECKBUCKET]->(b)
    WITH u, checked, m, EXISTS { (b)-[:DMCHECKCLIENT]->() } AS leased, b.priority AS priority
    ORDER BY leased DESC, priority
    WITH u, checked, collect(m) AS memberships
    FOREACH (m IN CASE WHEN checked THEN memberships ELSE memberships[1..] END | DELETE m)
}
CALL () {
    MATCH (b:DMCheckBucket) WHERE b.ready IS NOT NULL AND NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-() }
    WITH collect(b) AS hollow
    UNWIND hollow AS b
    SET b.uuid = b.uuid
    WITH b WHERE b.ready IS NOT NULL AND NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-() }
    DETACH DELETE b
}
