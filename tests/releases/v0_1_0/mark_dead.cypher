CALL () {
    MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(c:DMCheckClient)
    WHERE b.dead_datetime IS NULL AND (
        coalesce(b.expires <= datetime(), false) OR coalesce(
            coalesce(b.renewed_datetime, b.assigned_datetime) <= datetime() - duration({seconds: $lease_seconds}),
            b.expires IS NULL))
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
    WHERE b.dead_datetime IS NULL AND (
        coalesce(b.expires <= datetime(), false) OR coalesce(
            coalesce(b.renewed_datetime, b.assigned_datetime) <= datetime() - duration({seconds: $lease_seconds}),
            b.expires IS NULL))
        AND b.uuid IN uuids AND c.id IN ids
    MATCH (c)-[:STATS]->(s:DMCheckClientStats)
    OPTIONAL MATCH (l:DMCheckLease {id: b.lease})
FOREACH (x IN CASE
    WHEN all(n IN [s.buckets_assigned, s.buckets_processed, s.buckets_fault, s.buckets_dead, coalesce(s.allowance, 0),
            coalesce(s.asked, 0), coalesce(s.faults_judged, 0)] WHERE n IS :: INTEGER NOT NULL AND -1e15 < n < 1e15)
        AND (s.last_access_time IS NULL OR coalesce(s.last_access_time <= datetime(), false)) THEN []
    ELSE [s] END |
    FOREACH (key IN ['buckets_assigned', 'buckets_processed', 'buckets_fault', 'buckets_dead'] |
        SET x[key] = CASE WHEN -1e15 < toIntegerOrNull(x[key]) < 1e15 THEN toIntegerOrNull(x[key]) ELSE 0 END)
    FOREACH (key IN ['allowance', 'asked', 'faults_judged'] |
        SET x[key] = CASE WHEN -1e15 < toIntegerOrNull(x[key]) < 1e15 THEN toIntegerOrNull(x[key]) END)
    SET x.last_access_time = CASE
        WHEN x.last_access_time <= datetime() THEN x.last_access_time
        WHEN x.last_access_time IS NOT NULL THEN datetime() END
)
    WITH c, s, collect(b) AS ending, collect(CASE WHEN l.died THEN null ELSE l END) AS deaths
WITH *, coalesce(toIntegerOrNull(s.buckets_fault), 0) - coalesce(toIntegerOrNull(s.faults_judged), 0) AS faults
WITH *, toInteger(coalesce(toIntegerOrNull(s.allowance), $start_allowance) / 2 ^ faults) AS left
WITH *, CASE WHEN left < 1 THEN 1 ELSE left END AS earned
    FOREACH (b IN ending | SET b.dead_datetime = datetime())
    FOREACH (l IN deaths | SET l.died = true)
    FOREACH (x IN CASE deaths WHEN [] THEN [] ELSE [s] END |
        SET x.buckets_dead = x.buckets_dead + size(deaths),
            x.allowance = toInteger(earned / 2 ^ size(deaths)), x.faults_judged = x.buckets_fault,
            x.judged_for = 'died', x.judged_datetime = datetime()
    )
    RETURN sum(size(ending)) AS marked
}
RETURN marked
