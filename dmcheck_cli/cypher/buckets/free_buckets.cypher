// Takes those who are there for a second opinion out of buckets that nobody may take: they need one again, and the others
// of the bucket wait for nobody.
// Parameters: limits, schema.
// Columns: freed (buckets). No row: the graph has another version.
// Repeating: a bucket without second opinions is not found again.
// include: _graph
MERGE (lock:DMCheckJob {name: 'make_buckets'})
SET lock.name = lock.name
WITH lock
CALL () {
    MATCH (c:DMCheckClient)-[:STATS]->(s:DMCheckClientStats)
    WHERE c.state = 'ACTIVE' AND c.suspended IS NULL AND s.contained IS NULL
    RETURN collect([c.id, c.dm_from_id]) AS able
}
CALL (able) {
    // include: _stuck
    RETURN collect(b.uuid)[..$limits.batch_leases] AS uuids
}
CALL (uuids) {
    UNWIND uuids AS uuid
    WITH uuid ORDER BY uuid
    MATCH (b:DMCheckBucket {uuid: uuid})
    REMOVE b.lock
}
CALL (able, uuids) {
    // include: _stuck
        AND b.uuid IN uuids
    RETURN collect(b) AS stuck
}
CALL (stuck) {
    UNWIND stuck AS b
    MATCH (u)-[m:INDMCHECKBUCKET]->(b) WHERE m.second IS NOT NULL
    CALL (u) {
    // include: _opinions
        WITH c ORDER BY r.at LIMIT 1
        RETURN collect(coalesce(c.id, 0)) AS first
    }
    // Nobody needs a second opinion who has no first one.
    FOREACH (x IN CASE WHEN first <> [] THEN [u] ELSE [] END |
        SET x.dmcheck_needs = m.second, x.dmcheck_asked = CASE WHEN first[0] > 0 THEN first[0] ELSE 0 END)
    DELETE m
}
CALL (stuck) {
    UNWIND stuck AS b
    REMOVE b.heard, b.sources
    WITH b WHERE NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-() }
    DETACH DELETE b
}
RETURN size(stuck) AS freed
