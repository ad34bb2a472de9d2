MATCH (:DMCheckSchema {name: 'graph', version: $schema})
CALL () {
    MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(c:DMCheckClient)
    WHERE b.dead_datetime IS NULL AND (
        coalesce(b.expires <= datetime(), false) OR coalesce(
            coalesce(b.renewed_datetime, b.assigned_datetime) <= datetime() - duration({seconds: $lease_seconds}),
            b.expires IS NULL))
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
    WHERE b.dead_datetime IS NULL AND (
        coalesce(b.expires <= datetime(), false) OR coalesce(
            coalesce(b.renewed_datetime, b.assigned_datetime) <= datetime() - duration({seconds: $lease_seconds}),
            b.expires IS NULL))
        AND b.uuid IN uuids AND c.id IN ids
    MATCH (c)-[:STATS]->(s:DMCheckClientStats)
    OPTIONAL MATCH (l:DMCheckLease {id: b.newest})
    WITH s, collect(b) AS ending, collect(CASE WHEN l.died THEN null ELSE l END) AS deaths
    FOREACH (b IN ending | SET b.dead_datetime = datetime())
    FOREACH (l IN deaths | SET l.died = true)
    SET s.buckets_dead = coalesce(toIntegerOrNull(s.buckets_dead), 0) + size(deaths)
    RETURN sum(size(ending)) AS marked
}
RETURN marked
