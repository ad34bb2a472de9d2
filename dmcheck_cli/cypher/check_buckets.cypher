// Looks at all buckets and clients for what must never be.
// Parameters: none.
// Columns: broken (texts).
// Repeating: reads only.
CALL () {
    MATCH (b:DMCheckBucket)
    WITH b, COUNT { (b)-[:DMCHECKCLIENT]->() } AS holders, COUNT { (b)<-[:INDMCHECKBUCKET]-() } AS members
    OPTIONAL MATCH (l:DMCheckLease {id: b.lease})
    WITH b, CASE
        WHEN holders > 1 THEN 'is held by ' + holders + ' clients'
        WHEN holders = 1 AND b.ready IS NOT NULL THEN 'is held, and in line'
        WHEN holders = 0 AND b.ready IS NULL THEN 'is neither held nor in line'
        WHEN b.priority IS NULL THEN 'has no priority'
        WHEN holders = 0 AND members = 0 THEN 'waits without a user'
        WHEN holders = 1 AND b.assigned_datetime IS NULL THEN 'is held since no time'
        WHEN holders = 1 AND l IS NULL THEN 'is held under no known lease'
        WHEN l.digest IS NOT NULL AND holders = 1 THEN 'is held under a lease that was answered'
        WHEN holders = 1 AND NOT EXISTS { (b)-[:DMCHECKCLIENT]->(c) WHERE c.id = l.client }
            THEN 'is held by another client than its lease says' END AS problem
    WITH b, problem WHERE problem IS NOT NULL
    RETURN collect('bucket ' + b.uuid + ' ' + problem) AS buckets
}
CALL () {
    MATCH (c:DMCheckClient)
    OPTIONAL MATCH (c)-[:STATS]->(s)
    WITH c, count(s) AS nodes, min(s.buckets_assigned) AS assigned, min(s.buckets_processed) AS processed,
         min(s.buckets_fault) AS fault, min(s.buckets_dead) AS dead
    WITH c, CASE
        WHEN nodes <> 1 THEN 'has ' + nodes + ' nodes of counters'
        WHEN assigned IS NULL OR processed IS NULL OR fault IS NULL OR dead IS NULL THEN 'lacks a counter'
        WHEN fault < 0 OR dead < 0 OR processed < 0 OR processed > assigned OR dead > assigned
            THEN 'has counters that contradict each other'
        WHEN c.state <> 'ACTIVE' AND EXISTS { (c)<-[:DMCHECKCLIENT]-() } THEN 'is inactive, and holds buckets' END AS problem
    WITH c, problem WHERE problem IS NOT NULL
    RETURN collect('client ' + c.id + ' ' + problem) AS clients
}
RETURN buckets + clients AS broken
