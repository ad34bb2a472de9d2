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
SET s.last_access_time = datetime()
WITH c, s
CALL (c) {
    UNWIND $buckets AS given
    WITH c, given ORDER BY given.bucket
    OPTIONAL MATCH (target:DMCheckBucket {uuid: given.bucket})
    SET target.uuid = target.uuid
    WITH c, collect([given, target]) AS pairs
    UNWIND pairs AS pair
    WITH c, pair[0] AS given, pair[1] AS b
    OPTIONAL MATCH (l:DMCheckLease {id: given.lease}) WHERE l.bucket = given.bucket
    WITH given, b, l, CASE
        WHEN b.uuid IS NULL AND l IS NULL AND NOT EXISTS { (:DMCheckLease {bucket: given.bucket}) }
            THEN 'unknown_bucket'
        WHEN l IS NOT NULL AND NOT coalesce(l.client = c.id, false) THEN 'not_owner'
        WHEN l.digest = given.digest THEN 'repeated'
        WHEN l.digest IS NOT NULL THEN 'payload_changed'
        WHEN b.lease = given.lease AND l IS NOT NULL THEN 'accepted'
        WHEN b.uuid IS NULL AND NOT EXISTS {
            (other:DMCheckLease {bucket: given.bucket}) WHERE other.digest IS NOT NULL
        } THEN 'unknown_bucket'
        ELSE 'lease_lost' END AS outcome
    RETURN collect({given: given, b: b, l: l, outcome: outcome}) AS items
}
CALL (c, items) {
    UNWIND [item IN items WHERE item.outcome = 'accepted'] AS item
    WITH c, item.given AS given, item.b AS b, item.l AS l, keys(item.given.answers) AS named
    CALL (b, given) {
        WITH b, given.answers AS answers
        MATCH (u)-[:INDMCHECKBUCKET]->(b)
    WHERE u.screen_name =~ '[A-Za-z0-9_]{1,20}'
        WITH u, answers[u.screen_name] AS answer
        RETURN collect(CASE answer WHEN 'DM' THEN u END) AS yes,
               collect(CASE answer WHEN 'NON_DM' THEN u END) AS no,
               collect(CASE answer WHEN 'UNKNOWN' THEN u END) AS gone,
               count(u) AS members
    }
    WITH *, size(yes) + size(no) + size(gone) AS accepted,
         CASE WHEN l.assigned_datetime <= datetime()
             THEN duration.inSeconds(l.assigned_datetime, datetime()).seconds ELSE 0 END AS took,
         coalesce(b.renewed_datetime, l.assigned_datetime) AS began
    WITH *, CASE WHEN began <= b.expires THEN duration.inSeconds(began, b.expires).seconds END AS granted
    WITH *, CASE
        WHEN size(gone) >= $flood AND size(gone) * 2 > accepted THEN 0.0
        WHEN accepted = 0 OR accepted * 2 < members OR granted IS NULL THEN null
        WHEN took * granted <= 0 THEN toFloat($most_allowance)
        ELSE toFloat(granted) / took END AS pace
    CALL (b, named, accepted) {
        WITH b, named WHERE accepted < size(named)
        UNWIND named AS name
        MATCH (stranger:User {screen_name: name}) WHERE NOT EXISTS { (stranger)-[:INDMCHECKBUCKET]->(b) }
        WITH name ORDER BY name
        RETURN collect(name) AS refused
    }
    FOREACH (u IN yes | CREATE (c)-[:DM_YES]->(u))
    FOREACH (u IN no | CREATE (c)-[:DM_NO]->(u))
    FOREACH (u IN gone | CREATE (c)-[:DM_UNKNOWN]->(u))
    SET l.digest = given.digest, l.accepted = accepted, l.returned = members - accepted, l.refused = refused
    FOREACH (x IN CASE WHEN accepted = members THEN [b] ELSE [] END | DETACH DELETE x)
    WITH given, b, members, accepted, named, refused, pace, took, l.processed AS before
    CALL (given, b, members, accepted) {
        WITH given, b WHERE accepted < members
        CALL (given, b) {
            MATCH (u)-[m:INDMCHECKBUCKET]->(b) WHERE given.answers[toStringOrNull(u.screen_name)] IS NOT NULL
            DELETE m
        }
    CALL (b) {
        SET b.ready = rand()
        REMOVE b.assigned_datetime, b.renewed_datetime, b.dead_datetime, b.expires
        WITH b
        OPTIONAL MATCH (b)-[held:DMCHECKCLIENT]->()
        DELETE held
    }
    CALL (b) {
        MATCH (u)-[m:INDMCHECKBUCKET]->(b)
        WHERE NOT coalesce(u.screen_name =~ '[A-Za-z0-9_]{1,20}', false)
        DELETE m
    }
    CALL (b) {
        MATCH (u)-[m:INDMCHECKBUCKET]->(b) WHERE m.priority IS NOT NULL
        WITH m.priority AS priority, collect(m) AS leaving, collect(u) AS users
        CREATE (n:DMCheckBucket {
            uuid: replace(randomUUID(), '-', ''), priority: priority, ready: rand(), edit_datetime: datetime()
        })
        FOREACH (m IN leaving | DELETE m)
        FOREACH (u IN users | CREATE (u)-[:INDMCHECKBUCKET]->(n))
    }
    CALL (b) {
        WITH b WHERE NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-() }
        DETACH DELETE b
    }
    }
    RETURN sum(CASE WHEN size(named) > size(refused) THEN 1 ELSE 0 END) AS processed,
           sum(CASE WHEN size(refused) > 0 THEN 1 ELSE 0 END) AS strange,
           collect(CASE WHEN pace IS NOT NULL THEN {pace: pace, before: before} END) AS told,
           max(CASE WHEN pace IS NOT NULL THEN took END) AS turnaround
}
WITH *, coalesce(toIntegerOrNull(s.buckets_fault), 0) - coalesce(toIntegerOrNull(s.faults_judged), 0) AS faults
WITH *, toInteger(coalesce(toIntegerOrNull(s.allowance), $start_allowance) / 2 ^ faults) AS left
WITH *, CASE WHEN left < 1 THEN 1 ELSE left END AS earned
WITH *, s.buckets_processed + processed AS total
WITH *, CASE WHEN c.capacity > $start_allowance AND total * 4 >= s.buckets_assigned * 3
    THEN c.capacity ELSE $start_allowance END AS most
WITH *, [x IN told | x.pace * (total - coalesce(x.before, total - 1))] AS finishes
WITH *, reduce(a = earned, n IN finishes | CASE
    WHEN n = 0 THEN a / 2 WHEN n < a THEN toInteger(n) WHEN n >= a + 1 AND a < most THEN a + 1 ELSE a END) AS allowance
FOREACH (x IN CASE finishes WHEN [] THEN [] ELSE [s] END |
    SET x.allowance = allowance, x.faults_judged = x.buckets_fault, x.turnaround_seconds = turnaround,
        x.asked = CASE WHEN any(n IN finishes WHERE n > 0) THEN 0 ELSE x.asked END,
        x.judged_for = CASE WHEN 0 IN finishes THEN 'unknown' WHEN allowance < earned THEN 'slow' ELSE 'answered' END,
        x.judged_datetime = datetime()
)
WITH s, items, processed, strange, CASE WHEN $first_try
    THEN size([item IN items WHERE NOT item.outcome IN ['accepted', 'repeated']]) ELSE 0 END AS denied
SET s.buckets_processed = s.buckets_processed + processed,
    s.buckets_fault = s.buckets_fault + strange + denied
WITH items
UNWIND items AS item
WITH item.given.bucket AS bucket, item.l AS l,
     CASE item.outcome WHEN 'repeated' THEN 'accepted' ELSE item.outcome END AS outcome
RETURN bucket, outcome, l.accepted AS accepted, l.returned AS returned, coalesce(l.refused, []) AS refused
