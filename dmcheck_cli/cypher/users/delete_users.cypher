// Deletes users with all that names them, and waiting buckets that are empty then.
// Parameters: names, schema.
// Columns: deleted (users), unknown (names). No row: the graph is of another version.
// Repeating: who is gone is reported as unknown.
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
    // Where make_buckets goes on is a name, too.
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
    // The buckets that they were in at the end: one that was being given back may have sent them on to a new one.
    UNWIND buckets AS b
    REMOVE b.lock
    WITH collect(b) AS locked
    UNWIND locked AS b
    WITH b WHERE b.place IS NOT NULL AND NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-() }
    DETACH DELETE b
}
CALL () {
    // Receipts of release 0.1.0 name the users that it refused.
    MATCH (l:DMCheckLease) WHERE any(name IN l.refused WHERE name IN $names)
    SET l.refused = [name IN l.refused WHERE NOT name IN $names]
}
RETURN deleted, unknown
