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
FOREACH (x IN CASE outcome WHEN 'held' THEN [b] ELSE [] END |
    SET x.renewed_datetime = datetime(), x.expires = datetime() + duration({seconds: $lease_seconds})
    REMOVE x.dead_datetime
)
RETURN outcome, CASE outcome WHEN 'held' THEN toString(b.expires) END AS expires
