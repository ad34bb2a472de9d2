// The clients with their counters, and the state of the whole.
// Parameters: client (an id, or null for all), default_capacity, start_allowance, default_priority.
// Columns: clients (a list of maps), users, answers (relationships), buckets, held, dead (leases),
//   leased_users, and since how many seconds the oldest waiting bucket of each kind waits (null when none does):
//   prioritized_wait_seconds, ordinary_wait_seconds.
// Repeating: reads only. Counts of users and answers come from the count store; only buckets and clients are read.
CALL () { MATCH (u:User) RETURN count(u) AS users }
CALL () { MATCH ()-[r:DM_YES]->() RETURN count(r) AS yes }
CALL () { MATCH ()-[r:DM_NO]->() RETURN count(r) AS no }
CALL () { MATCH ()-[r:DM_UNKNOWN]->() RETURN count(r) AS gone }
CALL () {
    MATCH (b:DMCheckBucket)
    WITH b, CASE WHEN b.ready IS NOT NULL THEN b.edit_datetime END AS since,
         coalesce(b.raised_from, b.priority) < $default_priority AS urgent
    RETURN count(b) AS buckets, min(CASE WHEN urgent THEN since END) AS oldest_prioritized,
           min(CASE WHEN NOT urgent THEN since END) AS oldest_ordinary
}
CALL () {
    MATCH (b)-[:DMCHECKCLIENT]->()
    RETURN count(b) AS held, count(b.dead_datetime) AS dead, coalesce(sum(COUNT { (b)<-[:INDMCHECKBUCKET]-() }), 0) AS leased_users
}
CALL () {
    MATCH (c:DMCheckClient) WHERE $client IS NULL OR c.id = $client
    OPTIONAL MATCH (c)-[:STATS]->(s:DMCheckClientStats)
    // include: _allowance
    WITH c, s, earned, faults, coalesce(c.capacity, $default_capacity) AS capacity ORDER BY c.id
    RETURN collect({
        id: c.id, screen_name: c.screen_name, state: c.state, capacity: capacity,
        allowance: CASE WHEN earned < capacity THEN earned ELSE capacity END,
        held: COUNT { (c)<-[:DMCHECKCLIENT]-() },
        dead: COUNT { (c)<-[:DMCHECKCLIENT]-(b) WHERE b.dead_datetime IS NOT NULL },
        buckets_assigned: coalesce(s.buckets_assigned, 0), buckets_processed: coalesce(s.buckets_processed, 0),
        buckets_fault: coalesce(s.buckets_fault, 0), buckets_dead: coalesce(s.buckets_dead, 0),
        judged_for: CASE WHEN faults > 0 THEN 'refused' ELSE s.judged_for END,
        judged_seconds: CASE WHEN faults > 0 THEN null
            ELSE duration.inSeconds(s.judged_datetime, datetime()).seconds END,
        turnaround_seconds: s.turnaround_seconds, asked: coalesce(s.asked, 0),
        users_unknown: COUNT { (c)-[:DM_UNKNOWN]->() },
        users_checked: COUNT { (c)-[:DM_YES|DM_NO|DM_UNKNOWN]->() },
        oldest_lease_seconds: COLLECT {
            MATCH (c)<-[:DMCHECKCLIENT]-(b)
            RETURN duration.inSeconds(b.assigned_datetime, datetime()).seconds AS seconds ORDER BY seconds DESC LIMIT 1
        }[0],
        last_access_time: toString(s.last_access_time),
        last_access_seconds: duration.inSeconds(s.last_access_time, datetime()).seconds,
        first_registered: toString(c.create_datetime), last_registered: toString(c.edit_datetime)
    }) AS clients
}
RETURN clients, users, yes + no + gone AS answers, buckets, held, dead, leased_users,
       duration.inSeconds(oldest_prioritized, datetime()).seconds AS prioritized_wait_seconds,
       duration.inSeconds(oldest_ordinary, datetime()).seconds AS ordinary_wait_seconds
