// Deletes users with all their relationships, and waiting buckets that are empty then.
// Parameters: names.
// Columns: deleted (users), unknown (names).
// Repeating: who is gone is reported as unknown.
CALL () {
    UNWIND $names AS name
    MATCH (u:User {screen_name: name})
    RETURN count(u) AS there
}
CALL (there) {
    WITH there WHERE there > 0
    MERGE (lock:DMCheckJob {name: 'make_buckets'})
    SET lock.name = lock.name
}
CALL () {
    UNWIND $names AS name
    MATCH (:User {screen_name: name})-[:INDMCHECKBUCKET]->(b:DMCheckBucket)
    WITH DISTINCT b ORDER BY b.uuid
    SET b.uuid = b.uuid
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
    SET b.uuid = b.uuid
    WITH collect(b) AS locked
    UNWIND locked AS b
    WITH b WHERE b.ready IS NOT NULL AND NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-() }
    DETACH DELETE b
}
RETURN deleted, unknown
