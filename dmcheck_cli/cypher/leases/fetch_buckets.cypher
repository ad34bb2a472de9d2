// Leases up to `count` of the most urgent waiting buckets to a client, at random among equals.
// Parameters: client, request (identifies this fetch), count (0: the stated capacity), release (of dmcheck), limits,
//   schema.
// Columns: refusal (null: none; 'repeated': this request already has leases, so no new ones are taken; 'over_quota';
//   'unjudged'; 'too_fast'), seen (waiting buckets it considered), held (leases before), wait (seconds, when 'too_fast'), clients
//   (how many there are), and per bucket: bucket, lease, priority, expires, users (a list of [name, id]). Without a
//   bucket, one row with these null. No row: the client is not active, or the graph has another version.
// Repeating: finds the leases of the same request by (client, request), and takes no new ones.
// include: _graph
// 1. The client, and what it may take: lease numbers after those held, within what it has earned and stated.
// include: _active_client
WITH *, COUNT { (c)<-[:DMCHECKCLIENT]-() } AS held, toIntegerOrNull(c.capacity) AS stated
WITH *, [n IN range(held + 1, held + $limits.max_fetch)
    WHERE n <= coalesce(toIntegerOrNull(s.allowance), $limits.start_allowance)
        AND n <= coalesce(stated, $limits.start_allowance)
][..CASE $count WHEN 0 THEN coalesce(stated, $limits.default_fetch) ELSE $count END] AS own
WITH *, [n IN own WHERE s.record OR $limits.max_unjudged = 0 OR NOT s.buckets_processed IS :: INTEGER NOT NULL
    OR n <= $limits.max_unjudged - s.buckets_processed + coalesce(s.processed_judged, 0)] AS free
// 2. Whether this request already has leases or must wait; and the most urgent priority.
WITH *, CASE WHEN EXISTS { (:DMCheckLease {client: $client, request: $request}) } THEN 'repeated'
    WHEN own = [] THEN 'over_quota' WHEN free = [] THEN 'unjudged' WHEN datetime() < s.next_fetch
        <= datetime() + duration({seconds: $limits.pause_seconds}) THEN 'too_fast' END AS refusal
WITH *, rand() AS start, CASE WHEN refusal IS NULL THEN COLLECT {
    MATCH (b:DMCheckBucket) WHERE b.priority IS NOT NULL AND b.place IS NOT NULL
    RETURN b.priority ORDER BY b.priority LIMIT 1
}[0] END AS top
// 3. The pick: the next buckets of that priority from a random start, wrapping around, in random order. Places in the
//    line are random, so clients seldom collide.
CALL (c, top, start) {
    UNWIND [[start, 1.0], [0.0, start]] AS arc
    CALL (c, top, arc) {
        MATCH (b:DMCheckBucket) WHERE b.priority = top AND arc[0] <= b.place < arc[1]
            // include: _eligible
        RETURN b ORDER BY b.priority, b.place LIMIT $limits.window
    }
    WITH b LIMIT $limits.window
    WITH b ORDER BY rand()
    RETURN collect(b) AS near
}
// 4. If that is too few: the rest, including less urgent priorities.
CALL (c, top, near, free) {
    MATCH (b:DMCheckBucket) WHERE b.priority >= CASE WHEN size(near) < size(free) THEN top END
        AND b.place IS NOT NULL AND NOT b IN near
            // include: _independent
    WITH b ORDER BY b.priority, b.place LIMIT $limits.window
    WITH b ORDER BY b.priority, coalesce(b.last_client = $client, false), rand()
    RETURN collect(b) AS rest
}
// 5. The claim: behind the lock, check again that the bucket is still in line. Then the record.
CALL (near, rest, free) {
    UNWIND (near + rest)[..size(free)] AS pick
    WITH pick ORDER BY pick.uuid REMOVE pick.lock
    RETURN [b IN collect(pick) WHERE b.place IS NOT NULL] AS taken
}
FOREACH (b IN taken |
    SET b += {newest: randomUUID(), last_client: $client, assigned_datetime: datetime(),
        expires: datetime() + duration({seconds: $limits.lease_seconds}), place: null}
    CREATE (b)-[:DMCHECKCLIENT]->(c), (:DMCheckLease {id: b.newest, client: $client, unjudged: true,
        request: $request, bucket: b.uuid, processed: s.buckets_processed, assigned_datetime: datetime()})
)
// 6. Each fetch that takes a bucket moves the next allowed fetch on by one pause, from at most `tolerance` pauses ago.
WITH *, datetime() - duration({seconds: $limits.pause_seconds * $limits.tolerance}) AS lag
FOREACH (b IN taken[..1] | SET s.next_fetch = duration({seconds: $limits.pause_seconds}) +
    CASE WHEN s.next_fetch > lag THEN s.next_fetch ELSE lag END)
SET s.last_access_time = datetime(), s.release = $release,
    s.buckets_assigned = coalesce(toIntegerOrNull(s.buckets_assigned), 0) + size(taken)
// 7. The leases of this request; null for each that has ended.
WITH *
OPTIONAL MATCH (l:DMCheckLease {client: $client, request: $request})
OPTIONAL MATCH (b:DMCheckBucket {uuid: l.bucket})-[:DMCHECKCLIENT]->(c) WHERE b.newest = l.id
RETURN refusal, size(near + rest) AS seen, held, COUNT { (:DMCheckClient) } AS clients,
       duration.inSeconds(datetime(), s.next_fetch).seconds AS wait,
       // include: _as_given
