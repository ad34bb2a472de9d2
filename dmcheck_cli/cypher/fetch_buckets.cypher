// Leases up to `count` of the most urgent waiting buckets to a client, chosen at random among equals.
// Parameters: client, request (names this fetch), count, top_up (true: take what is missing to `count` although the
//   request has leases already), lease_seconds, default_capacity.
// Columns: one row a bucket: held (leases before), capacity, known (leases that this request got before), seen
//   (waiting buckets it tried for), lost (those of them that others took first), bucket, lease, priority, expires, names, ids (users, side by side).
//   One row with bucket null when nothing was leased. No row: the client is not active.
// Repeating: leases of the same request are found by (client, request); those still held are returned and
//   nothing new is taken, unless to top up.
// The pick: `start` is a random point in the line of the most urgent priority (`ready` is each bucket's random
//   place in it); buckets are taken from there on, around the end, then from the next priorities. Two clients
//   therefore seldom meet, and who waits for a lock looks again whether the bucket is still free.
MATCH (c:DMCheckClient {id: $client})-[:STATS]->(s:DMCheckClientStats)
SET c.id = c.id
WITH c, s WHERE c.state = 'ACTIVE'
SET s.last_access_time = datetime()
WITH c, s, COLLECT {
    MATCH (l:DMCheckLease {client: $client, request: $request}) RETURN l
} AS known, COUNT { (c)<-[:DMCHECKCLIENT]-() } AS held, coalesce(c.capacity, $default_capacity) AS capacity
WITH c, s, known, held, capacity, rand() AS start, CASE
    WHEN size(known) > 0 AND NOT $top_up OR capacity <= held THEN 0
    WHEN capacity - held < $count - size(known) THEN capacity - held
    ELSE $count - size(known) END AS want
CALL (start, want) {
    WITH start, want WHERE want > 0
    MATCH (head:DMCheckBucket) WHERE head.priority IS NOT NULL AND head.ready IS NOT NULL
    WITH start, head.priority AS top ORDER BY head.priority LIMIT 1
    CALL (start, top) {
        MATCH (b:DMCheckBucket) WHERE b.priority = top AND b.ready >= start
        RETURN b, 1 AS turn ORDER BY b.priority, b.ready LIMIT $count
        UNION ALL
        MATCH (b:DMCheckBucket) WHERE b.priority = top AND b.ready < start
        RETURN b, 2 AS turn ORDER BY b.priority, b.ready LIMIT $count
        UNION ALL
        MATCH (b:DMCheckBucket) WHERE b.priority > top AND b.ready IS NOT NULL
        RETURN b, 3 AS turn ORDER BY b.priority, b.ready LIMIT $count
    }
    WITH b ORDER BY turn, b.priority, b.ready
    WITH collect(b) AS line
    RETURN line[..want] AS picks
}
CALL (picks) {
    UNWIND picks AS pick
    WITH pick ORDER BY pick.uuid
    SET pick.uuid = pick.uuid
    WITH collect(pick) AS locked
    UNWIND locked AS b
    WITH b WHERE b.ready IS NOT NULL
    RETURN collect(b) AS taken
}
SET s.buckets_assigned = s.buckets_assigned + size(taken)
FOREACH (b IN taken |
    SET b.lease = randomUUID(), b.assigned_datetime = datetime(),
        b.expires = datetime() + duration({seconds: $lease_seconds})
    REMOVE b.ready
    CREATE (b)-[:DMCHECKCLIENT]->(c)
    CREATE (:DMCheckLease {
        id: b.lease, client: $client, request: $request, bucket: b.uuid, assigned_datetime: b.assigned_datetime
    })
)
WITH held, capacity, size(picks) AS seen, size(picks) - size(taken) AS lost, size(known) AS known, taken + COLLECT {
    UNWIND known AS l
    MATCH (b:DMCheckBucket {uuid: l.bucket}) WHERE b.lease = l.id AND EXISTS { (b)-[:DMCHECKCLIENT]->() }
    RETURN b
} AS mine
UNWIND CASE mine WHEN [] THEN [null] ELSE mine END AS b
WITH *, COLLECT { MATCH (b)<-[:INDMCHECKBUCKET]-(u) RETURN u } AS users
RETURN held, capacity, known, seen, lost, b.uuid AS bucket, b.lease AS lease, b.priority AS priority,
       toString(b.expires) AS expires, [u IN users | u.screen_name] AS names, [u IN users | u.id] AS ids
