// What may be done with one lease: `b` is the locked bucket, `outcome` is 'held' when the lease is its newest and the
// client still holds it, else the reason of the refusal.
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
