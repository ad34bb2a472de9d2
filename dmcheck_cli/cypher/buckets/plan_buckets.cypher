// What make_buckets needs to know before it starts.
// Parameters: limits.
// Columns: room (buckets that may still be made), cursor (the last name that earlier runs scanned), active (clients),
//   outside (users without an answer in no bucket and not set aside, by the count store: those that nobody can ask for
//   included), line (of each waiting bucket: a list of [ids of those who answered for its users, their dm_from_ids]).
// Repeating: reads only.
// include: _room
CALL () { MATCH (u:User) RETURN count(u) AS users }
CALL () { MATCH ()-[r:DM_YES]->() RETURN count(r) AS yes }
CALL () { MATCH ()-[r:DM_NO]->() RETURN count(r) AS no }
CALL () { MATCH ()-[r:DM_UNKNOWN]->() RETURN count(r) AS gone }
CALL () { MATCH ()-[r:INDMCHECKBUCKET]->() RETURN count(r) AS members }
CALL () {
    // Users in a bucket who have an answer: they were counted twice.
    MATCH (b:DMCheckBucket) WHERE b.heard IS NOT NULL
    RETURN coalesce(sum(COUNT { (b)<-[m:INDMCHECKBUCKET]-() WHERE m.second IS NOT NULL }), 0) AS again
}
CALL () {
    MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL
    RETURN collect([coalesce(b.heard, []), coalesce(b.sources, [])]) AS line
}
CALL () {
    MATCH (u:User) WHERE u.dmcheck_aside > datetime({year: 1}) AND
    // include: _unplaced
    AND NOT
    // include: _checked
    RETURN count(u) AS aside
}
OPTIONAL MATCH (job:DMCheckJob {name: 'make_buckets'})
RETURN room, CASE WHEN job.cursor IS :: STRING NOT NULL THEN job.cursor ELSE '' END AS cursor, active,
       users - yes - no - gone - members + again - aside AS outside, line
