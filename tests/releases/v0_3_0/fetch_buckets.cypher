MATCH (:DMCheckSchema {name: 'graph', version: $schema})
MATCH (c:DMCheckClient {id: $client})
REMOVE c.lock
WITH c, [(c)-[:STATS]->(s) | s][0] AS s WHERE c.state = 'ACTIVE' AND s IS NOT NULL
WITH *, COUNT { (c)<-[:DMCHECKCLIENT]-() } AS held, toIntegerOrNull(c.capacity) AS stated
WITH *, [n IN range(held + 1, held + $limits.max_fetch)
    WHERE n <= coalesce(toIntegerOrNull(s.allowance), $limits.start_allowance)
        AND n <= coalesce(stated, $limits.start_allowance)
][..CASE $count WHEN 0 THEN coalesce(stated, $limits.default_fetch) ELSE $count END] AS free
WITH *, CASE WHEN EXISTS { (:DMCheckLease {client: $client, request: $request}) } THEN 'repeated'
    WHEN free = [] THEN 'over_quota' WHEN datetime() < s.next_fetch
        <= datetime() + duration({seconds: $limits.pause_seconds}) THEN 'too_fast' END AS refusal
WITH *, rand() AS start, CASE WHEN refusal IS NULL THEN COLLECT {
    MATCH (b:DMCheckBucket) WHERE b.priority IS NOT NULL AND b.place IS NOT NULL
    RETURN b.priority ORDER BY b.priority LIMIT 1
}[0] END AS top
CALL (top, start) {
    UNWIND [[start, 1.0], [0.0, start]] AS arc
    CALL (top, arc) {
        MATCH (b:DMCheckBucket) WHERE b.priority = top AND arc[0] <= b.place < arc[1]
            AND coalesce(b.last_client <> $client, true)
        RETURN b ORDER BY b.priority, b.place LIMIT $limits.window
    }
    WITH b LIMIT $limits.window
    WITH b ORDER BY rand()
    RETURN collect(b) AS near
}
CALL (top, near, free) {
    MATCH (b:DMCheckBucket) WHERE b.priority >= CASE WHEN size(near) < size(free) THEN top END
        AND b.place IS NOT NULL AND NOT b IN near
    WITH b ORDER BY b.priority, b.place LIMIT $limits.window
    WITH b ORDER BY b.priority, coalesce(b.last_client = $client, false), rand()
    RETURN collect(b) AS rest
}
CALL (near, rest, free) {
    UNWIND (near + rest)[..size(free)] AS pick
    WITH pick ORDER BY pick.uuid REMOVE pick.lock
    RETURN [b IN collect(pick) WHERE b.place IS NOT NULL] AS taken
}
FOREACH (b IN taken |
    SET b += {newest: randomUUID(), last_client: $client, assigned_datetime: datetime(),
        expires: datetime() + duration({seconds: $lease_seconds}), place: null}
    CREATE (b)-[:DMCHECKCLIENT]->(c), (:DMCheckLease {id: b.newest, client: $client, unjudged: true,
        request: $request, bucket: b.uuid, processed: s.buckets_processed, assigned_datetime: datetime()})
)
WITH *, datetime() - duration({seconds: $limits.pause_seconds * $limits.tolerance}) AS lag
FOREACH (b IN taken[..1] | SET s.next_fetch = duration({seconds: $limits.pause_seconds}) +
    CASE WHEN s.next_fetch > lag THEN s.next_fetch ELSE lag END)
SET s.last_access_time = datetime(),
    s.buckets_assigned = coalesce(toIntegerOrNull(s.buckets_assigned), 0) + size(taken)
WITH *
OPTIONAL MATCH (l:DMCheckLease {client: $client, request: $request})
OPTIONAL MATCH (b:DMCheckBucket {uuid: l.bucket})-[:DMCHECKCLIENT]->(c) WHERE b.newest = l.id
RETURN refusal, size(near + rest) AS seen, held, COUNT { (:DMCheckClient) } AS clients,
       duration.inSeconds(datetime(), s.next_fetch).seconds AS wait,
       toStringOrNull(b.uuid) AS bucket, toStringOrNull(b.newest) AS lease, [(b)<-[:INDMCHECKBUCKET]-(u)
           WHERE u.screen_name =~ '\\w{1,20}' | [u.screen_name, u.id]] AS users,
       toIntegerOrNull(b.priority) AS priority, toStringOrNull(b.expires) AS expires
