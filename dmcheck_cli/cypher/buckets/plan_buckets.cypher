// What make_buckets needs to know before it starts.
// Parameters: limits.
// Columns: room (buckets that may still be made), cursor (the last name that earlier runs scanned), active (clients),
//   outside (users without an answer in no bucket, by the count store: those that nobody can ask for included).
// Repeating: reads only.
// include: _room
CALL () { MATCH (u:User) RETURN count(u) AS users }
CALL () { MATCH ()-[r:DM_YES]->() RETURN count(r) AS yes }
CALL () { MATCH ()-[r:DM_NO]->() RETURN count(r) AS no }
CALL () { MATCH ()-[r:DM_UNKNOWN]->() RETURN count(r) AS gone }
CALL () { MATCH ()-[r:INDMCHECKBUCKET]->() RETURN count(r) AS members }
OPTIONAL MATCH (job:DMCheckJob {name: 'make_buckets'})
RETURN room, CASE WHEN job.cursor IS :: STRING NOT NULL THEN job.cursor ELSE '' END AS cursor, active,
       users - yes - no - gone - members AS outside
