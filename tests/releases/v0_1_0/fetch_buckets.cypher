MATCH (c:DMCheckClient {id: $client})-[:STATS]->(s:DMCheckClientStats)
WITH c, s LIMIT 1
SET c.id = c.id
WITH c, s WHERE c.state = 'ACTIVE'
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
WITH c, s
CALL () { MATCH (any:DMCheckClient) RETURN count(any) AS clients }
WITH *, COLLECT {
    MATCH (l:DMCheckLease {client: $client, request: $request}) RETURN l
} AS known, COUNT { (c)<-[:DMCHECKCLIENT]-() } AS held, coalesce(toIntegerOrNull(c.capacity), $default_capacity) AS capacity
WITH *, coalesce(toIntegerOrNull(s.buckets_fault), 0) - coalesce(toIntegerOrNull(s.faults_judged), 0) AS faults
WITH *, toInteger(coalesce(toIntegerOrNull(s.allowance), $start_allowance) / 2 ^ faults) AS left
WITH *, CASE WHEN left < 1 THEN 1 ELSE left END AS earned
WITH *, CASE WHEN earned < capacity THEN earned ELSE capacity END AS allowance
WITH *, coalesce(s.asked, 0) - allowance - $tolerance AS vain
WITH *, [n IN [vain, vain + 1] | CASE
    WHEN n < 0 THEN 0 WHEN 2 ^ n < $longest_pause THEN toInteger(2 ^ n) ELSE $longest_pause END] AS pauses
WITH *, pauses[1] AS pause, CASE WHEN $top_up OR pauses[0] = 0 THEN 0
    ELSE pauses[0] - coalesce(duration.inSeconds(s.last_access_time, datetime()).seconds, pauses[0]) END AS wait
WITH *, CASE
    WHEN size(known) > 0 AND NOT $top_up OR held >= allowance OR wait > 0 THEN 0
    WHEN allowance - held < $count - size(known) THEN allowance - held
    ELSE $count - size(known) END AS want
SET s.last_access_time = CASE WHEN wait > 0 THEN s.last_access_time ELSE datetime() END
WITH *, rand() AS start
CALL (start, want) {
    WITH start, want WHERE want > 0
    MATCH (head:DMCheckBucket) WHERE head.priority IS NOT NULL AND head.ready IS NOT NULL
    WITH start, want, head.priority AS top ORDER BY head.priority LIMIT 1
    CALL (start, top) {
        MATCH (b:DMCheckBucket) WHERE b.priority = top AND b.ready >= start
            AND NOT EXISTS { (:DMCheckLease {id: b.lease, client: $client}) }
        WITH b ORDER BY b.priority, b.ready LIMIT $window
        RETURN collect(b) AS after
    }
    CALL (start, top, after) {
        WITH start, top WHERE size(after) < $window
        MATCH (b:DMCheckBucket) WHERE b.priority = top AND b.ready < start
            AND NOT EXISTS { (:DMCheckLease {id: b.lease, client: $client}) }
        WITH b ORDER BY b.priority, b.ready LIMIT $window
        RETURN collect(b) AS around
    }
    WITH top, want, (after + around)[..$window] AS near
    CALL (near) {
        UNWIND near AS b
        WITH b, rand() AS draw ORDER BY draw
        RETURN collect(b) AS equals
    }
    CALL (top, want, equals) {
        WITH top, want - size(equals) AS lacking WHERE lacking > 0
        CALL (top) {
            MATCH (b:DMCheckBucket) WHERE b.priority > top AND b.ready IS NOT NULL
                AND NOT EXISTS { (:DMCheckLease {id: b.lease, client: $client}) }
            WITH b ORDER BY b.priority, b.ready LIMIT $window
            RETURN collect(b) AS next
        }
        WITH top, next, coalesce(next[lacking - 1].priority, $beyond) AS enough
        CALL (top, next, enough) {
            UNWIND next AS b
            RETURN b, false AS again
            UNION ALL
            MATCH (b:DMCheckBucket) WHERE b.priority >= top AND b.priority < enough AND b.ready IS NOT NULL
                AND EXISTS { (:DMCheckLease {id: b.lease, client: $client}) }
            RETURN b, true AS again ORDER BY b.priority, b.ready LIMIT $window
        }
        WITH b, again, rand() AS draw ORDER BY b.priority, again, draw
        RETURN collect(b) AS others
    }
    WITH want, equals + others AS line
    UNWIND line[..want] AS b
    RETURN collect(b) AS picks
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
SET s.buckets_assigned = s.buckets_assigned + size(taken),
    s.asked = CASE WHEN taken <> [] AND known = [] THEN coalesce(s.asked, 0) + 1 ELSE s.asked END
FOREACH (b IN taken |
    SET b.uuid = CASE WHEN b.uuid IS :: STRING NOT NULL THEN b.uuid ELSE randomUUID() END,
        b.lease = randomUUID(), b.assigned_datetime = datetime(),
        b.expires = datetime() + duration({seconds: $lease_seconds})
    REMOVE b.ready
    CREATE (b)-[:DMCHECKCLIENT]->(c)
    CREATE (:DMCheckLease {
        id: b.lease, client: $client, request: $request, bucket: b.uuid, assigned_datetime: b.assigned_datetime,
        processed: s.buckets_processed
    })
)
WITH held, capacity, allowance, wait, pause, clients, size(known) AS known, size(picks) AS seen,
     size(picks) - size(taken) AS lost, taken + COLLECT {
    UNWIND known AS l
    MATCH (b:DMCheckBucket {uuid: l.bucket}) WHERE b.lease = l.id AND EXISTS { (b)-[:DMCHECKCLIENT]->() }
    RETURN b
} AS mine
UNWIND CASE mine WHEN [] THEN [null] ELSE mine END AS b
WITH *, COLLECT {
    MATCH (b)<-[:INDMCHECKBUCKET]-(u)
    WHERE u.screen_name =~ '[A-Za-z0-9_]{1,20}'
    RETURN u
} AS users
RETURN held, capacity, allowance, wait, pause, clients, known, seen, lost, b.uuid AS bucket, b.lease AS lease,
       toIntegerOrNull(b.priority) AS priority, toStringOrNull(b.expires) AS expires,
       [u IN users | u.screen_name] AS names, [u IN users |
           CASE WHEN u.id IS :: INTEGER AND u.id > 0 THEN u.id END
       ] AS ids
