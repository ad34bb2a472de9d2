MATCH (:DMCheckSchema {name: 'graph', version: $schema})
MATCH (c:DMCheckClient {id: $client})
REMOVE c.lock
WITH c, [(c)-[:STATS]->(s) | s][0] AS s WHERE c.state = 'ACTIVE' AND s IS NOT NULL
CALL () {
    UNWIND $buckets AS given
    MATCH (b:DMCheckBucket {uuid: given.bucket})
    WITH b ORDER BY b.uuid
    REMOVE b.lock
}
CALL (c) {
    UNWIND $buckets AS given
    OPTIONAL MATCH (b:DMCheckBucket {uuid: given.bucket})
    OPTIONAL MATCH (l:DMCheckLease {id: given.lease, bucket: given.bucket, client: $client})
    RETURN collect({given: given, b: b, l: l, standing: CASE
        WHEN l IS NULL AND EXISTS { (:DMCheckLease {id: given.lease, bucket: given.bucket}) }
            THEN 'not_owner'
        WHEN l.digest IS NOT NULL THEN 'answered'
        WHEN b.newest = l.id THEN 'newest'
        WHEN b IS NULL AND NOT EXISTS {
            (x:DMCheckLease {bucket: given.bucket}) WHERE x.digest IS NOT NULL } THEN 'unknown_bucket'
        ELSE 'lease_lost' END}) AS items
}
SET s.last_access_time = datetime()
WITH c, items
UNWIND items AS item
WITH c, item.b AS b, item.standing AS standing
WITH b, CASE WHEN standing = 'newest' AND EXISTS { (b)-[:DMCHECKCLIENT]->(c) } THEN 'renewed'
    WHEN standing IN ['newest', 'answered'] THEN 'lease_lost' ELSE standing END AS outcome
FOREACH (x IN CASE outcome WHEN 'renewed' THEN [b] ELSE [] END |
    SET x += {renewed_datetime: datetime(), expires: datetime() + duration({seconds: $lease_seconds}),
        dead_datetime: null}
)
RETURN outcome, CASE outcome WHEN 'renewed' THEN toString(b.expires) END AS expires
