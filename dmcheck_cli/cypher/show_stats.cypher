// The clients with their counters, and the state of the whole.
// Parameters: client (an id, or null for all), default_capacity.
// Columns: clients (a list of maps), users, answers (relationships), in_buckets (users), buckets, held, dead (leases),
//   leased_users, oldest_wait_seconds (null when no bucket waits).
// Repeating: reads only. Counts of users and answers come from the count store; only buckets and clients are read.
CALL () { MATCH (u:User) RETURN count(u) AS users }
CALL () { MATCH ()-[r:DM_YES]->() RETURN count(r) AS yes }
CALL () { MATCH ()-[r:DM_NO]->() RETURN count(r) AS no }
CALL () { MATCH ()-[r:DM_UNKNOWN]->() RETURN count(r) AS gone }
CALL () { MATCH ()-[r:INDMCHECKBUCKET]->() RETURN count(r) AS in_buckets }
CALL () { MATCH (b:DMCheckBucket) RETURN count(b) AS buckets, min(CASE WHEN b.ready IS NOT NULL THEN b.edit_datetime END) AS oldest }
CALL () {
    MATCH (b)-[:DMCHECKCLIENT]->()
    RETURN count(b) AS held, count(b.dead_datetime) AS dead, coalesce(sum(COUNT { (b)<-[:INDMCHECKBUCKET]-() }), 0) AS leased_users
}
CALL () {
    MATCH (c:DMCheckClient) WHERE $client IS NULL OR c.id = $client
    OPTIONAL MATCH (c)-[:STATS]->(s:DMCheckClientStats)
    WITH c, s ORDER BY c.id
    RETURN collect({
        id: c.id, screen_name: c.screen_name, state: c.state, capacity: coalesce(c.capacity, $default_capacity),
        held: COUNT { (c)<-[:DMCHECKCLIENT]-() },
        dead: COUNT { (c)<-[:DMCHECKCLIENT]-(b) WHERE b.dead_datetime IS NOT NULL },
        buckets_assigned: coalesce(s.buckets_assigned, 0), buckets_processed: coalesce(s.buckets_processed, 0),
        buckets_fault: coalesce(s.buckets_fault, 0), buckets_dead: coalesce(s.buckets_dead, 0),
        users_checked: COUNT { (c)-[:DM_YES|DM_NO|DM_UNKNOWN]->() },
        last_access_time: toString(s.last_access_time),
        last_access_seconds: duration.inSeconds(s.last_access_time, datetime()).seconds,
        first_registered: toString(c.create_datetime), last_registered: toString(c.edit_datetime)
    }) AS clients
}
RETURN clients, users, yes + no + gone AS answers, in_buckets, buckets, held, dead, leased_users,
       duration.inSeconds(oldest, datetime()).seconds AS oldest_wait_seconds
