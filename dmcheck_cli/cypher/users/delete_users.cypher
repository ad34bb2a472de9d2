// Deletes users and every mention of them, and then any waiting bucket left empty.
// Parameters: names, schema.
// Columns: deleted (users), unknown (names). No row: the graph has another version.
// Repeating: a user already deleted is reported as unknown.
// include: _graph
CALL () {
    UNWIND $names AS name
    MATCH (u:User {screen_name: name})
    RETURN count(u) AS there
}
CALL (there) {
    WITH there WHERE there > 0
    MERGE (lock:DMCheckJob {name: 'make_buckets'})
    SET lock.name = lock.name
    // make_buckets stores a user's name as its cursor, too.
    WITH lock WHERE lock.cursor IN $names
    SET lock.cursor = left(lock.cursor, size(lock.cursor) - 1)
}
CALL () {
    UNWIND $names AS name
    MATCH (:User {screen_name: name})-[:INDMCHECKBUCKET]->(b:DMCheckBucket)
    WITH DISTINCT b ORDER BY b.uuid
    REMOVE b.lock
}
CALL () {
    UNWIND $names AS name
    OPTIONAL MATCH (u:User {screen_name: name})
    OPTIONAL MATCH (u)-[:INDMCHECKBUCKET]->(left:DMCheckBucket)
    WITH name, u, u IS NOT NULL AS known, collect(left) AS left
    DETACH DELETE u
    WITH name, known, left
    UNWIND CASE left WHEN [] THEN [null] ELSE left END AS b
    RETURN count(DISTINCT CASE WHEN known THEN name END) AS deleted,
           collect(DISTINCT CASE WHEN NOT known THEN name END) AS unknown, collect(DISTINCT b) AS buckets
}
CALL (buckets) {
    // Read again behind the locks: a bucket being given back may have moved its users to a new one.
    UNWIND buckets AS b
    REMOVE b.lock
    WITH collect(b) AS locked
    UNWIND locked AS b
    WITH b WHERE NOT EXISTS { (b)-[:DMCHECKCLIENT]->() } AND NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-() }
    DETACH DELETE b
}
CALL () {
    // Release 0.1.0 stored the names of refused users in its receipts.
    MATCH (l:DMCheckLease) WHERE any(name IN l.refused WHERE name IN $names)
    SET l.refused = [name IN l.refused WHERE NOT name IN $names]
}
RETURN deleted, unknown
