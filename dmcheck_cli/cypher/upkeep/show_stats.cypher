// The clients with their counters, and totals for the graph.
// Parameters: client (an id, or null for all), limits.
// Columns: now, clients (a list of maps), users, yes, no, gone (relationships), set_aside (users), aside_answered (of
//   these: only another opinion is missing), buckets, held, dead (leases), leased_users, and when the oldest waiting bucket
//   of each kind began to wait (null when none does): oldest_prioritized, oldest_ordinary; hourly (for the last two days: a
//   list of [hours ago, answers]), hasty (their leases that were answered faster than anybody can look up: for each the
//   client), ranking (when a client is asked for: the ids of the active ones, by how much each has answered).
// Repeating: reads only. User and answer counts come from the count store; only buckets and clients are scanned.
CALL () { MATCH (u:User) RETURN count(u) AS users }
CALL () { MATCH ()-[r:DM_YES]->() RETURN count(r) AS yes }
CALL () { MATCH ()-[r:DM_NO]->() RETURN count(r) AS no }
CALL () { MATCH ()-[r:DM_UNKNOWN]->() RETURN count(r) AS gone }
// A range, since the planner would scan all users for IS NOT NULL.
CALL () {
    MATCH (u:User) WHERE u.dmcheck_aside > datetime({year: 1})
    RETURN count(u) AS set_aside, count(CASE WHEN
    // include: _checked
    THEN u END) AS aside_answered
}
CALL () {
    MATCH (b:DMCheckBucket)
    WITH b, CASE WHEN b.place IS NOT NULL AND b.edit_datetime IS :: ZONED DATETIME THEN b.edit_datetime END AS since,
         coalesce(b.raised_from, b.priority) < $limits.default_priority AS urgent
    RETURN count(b) AS buckets, min(CASE WHEN urgent THEN since END) AS oldest_prioritized,
           min(CASE WHEN NOT urgent THEN since END) AS oldest_ordinary
}
CALL () {
    MATCH (b)-[:DMCHECKCLIENT]->()
    RETURN count(b) AS held, count(b.dead_datetime) AS dead, coalesce(sum(COUNT {
        (b)<-[:INDMCHECKBUCKET]-(u) WHERE NOT
    // include: _checked
    }), 0) AS leased_users
}
CALL () {
    MATCH (c:DMCheckClient) WHERE $client IS NULL OR c.id = $client
    WITH c, COLLECT { MATCH (c)-[:STATS]->(s:DMCheckClientStats) RETURN s LIMIT 1 }[0] AS s
    WITH c, s, coalesce(toIntegerOrNull(s.allowance), $limits.start_allowance) AS earned,
         coalesce(toIntegerOrNull(c.capacity), $limits.start_allowance) AS capacity ORDER BY c.id
    RETURN collect({
        id: CASE WHEN c.id IS :: INTEGER THEN c.id END, screen_name: toStringOrNull(c.screen_name),
        state: CASE WHEN c.suspended IS NOT NULL THEN 'SUSPENDED' WHEN c.state = 'ACTIVE' THEN 'ACTIVE'
            ELSE 'DEACTIVE' END, capacity: capacity,
        suspended: toStringOrNull(c.suspended), suspend_reason: toStringOrNull(c.suspend_reason),
        contained: toFloatOrNull(s.contained), probation: coalesce(s.probation = true, false), record: coalesce(s.record = true, false),
        checked_share: toFloatOrNull(s.share), compared: s.compared, contradicted: s.contradicted,
        judged: toIntegerOrNull(s.processed_judged),
        allowance: CASE WHEN earned < capacity THEN earned ELSE capacity END,
        held: COUNT { (c)<-[:DMCHECKCLIENT]-() },
        dead: COUNT { (c)<-[:DMCHECKCLIENT]-(b) WHERE b.dead_datetime IS NOT NULL },
        buckets_assigned: coalesce(toIntegerOrNull(s.buckets_assigned), 0),
        buckets_processed: coalesce(toIntegerOrNull(s.buckets_processed), 0),
        buckets_fault: coalesce(toIntegerOrNull(s.buckets_fault), 0),
        buckets_dead: coalesce(toIntegerOrNull(s.buckets_dead), 0),
        buckets_failed: coalesce(toIntegerOrNull(s.buckets_failed), 0),
        judged_for: toStringOrNull(s.judged_for), judged_datetime: toStringOrNull(s.judged_datetime),
        turnaround_seconds: toIntegerOrNull(s.turnaround_seconds),
        answers: {
            DM: COUNT { (c)-[:DM_YES]->() }, NON_DM: COUNT { (c)-[:DM_NO]->() },
            UNKNOWN: COUNT { (c)-[:DM_UNKNOWN]->() }
        },
        oldest_lease: toStringOrNull(COLLECT {
            MATCH (c)<-[:DMCHECKCLIENT]-(b) WHERE b.assigned_datetime IS :: ZONED DATETIME NOT NULL
            RETURN b.assigned_datetime AS since ORDER BY since LIMIT 1
        }[0]),
        last_access_time: toStringOrNull(s.last_access_time), next_fetch: toStringOrNull(s.next_fetch),
        release: toStringOrNull(s.release),
        first_registered: toStringOrNull(c.create_datetime), last_registered: toStringOrNull(c.edit_datetime)
    }) AS clients
}
CALL () {
    MATCH (l:DMCheckLease) WHERE l.ended > datetime() - duration('P2D')
    WITH duration.inSeconds(l.ended, datetime()).seconds / 3600 AS ago, sum(coalesce(toIntegerOrNull(l.accepted),
        toIntegerOrNull(l.dm) + toIntegerOrNull(l.non_dm) + toIntegerOrNull(l.unknown), 0)) AS answers,
        collect(CASE WHEN l.how = 'answered' AND l.assigned_datetime IS :: ZONED DATETIME NOT NULL THEN CASE
            WHEN 0 <= l.ended.epochMillis - l.assigned_datetime.epochMillis < 1000.0 / $limits.max_speed *
                (toIntegerOrNull(l.dm) + toIntegerOrNull(l.non_dm) + toIntegerOrNull(l.unknown))
            THEN l.client END END) AS fast
    WHERE answers > 0 AND ago >= 0
    RETURN collect([ago, answers]) AS hourly, reduce(all = [], one IN collect(fast) | all + one) AS hasty
}
CALL () {
    MATCH (c:DMCheckClient) WHERE $client IS NOT NULL AND c.state = 'ACTIVE' AND c.id IS :: INTEGER NOT NULL
    WITH c, COUNT { (c)-[:DM_YES|DM_NO|DM_UNKNOWN]->() } AS answers ORDER BY answers DESC, c.id
    RETURN collect(c.id) AS ranking
}
RETURN toString(datetime()) AS now, clients, hourly, hasty, ranking, users, yes, no, gone, set_aside,
       aside_answered, buckets, held, dead, leased_users,
       toString(oldest_prioritized) AS oldest_prioritized, toString(oldest_ordinary) AS oldest_ordinary
