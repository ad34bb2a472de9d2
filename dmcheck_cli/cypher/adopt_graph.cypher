// Takes over what an older system left in the graph: clients without counters, and buckets that nobody holds and
// that have no place in line.
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
