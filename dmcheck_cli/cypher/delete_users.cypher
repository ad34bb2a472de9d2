// Deletes users with all their relationships, and waiting buckets that are empty then.
// Parameters: names.
// Columns: deleted (users), unknown (names).
// Repeating: who is gone is reported as unknown.
CALL () {
    UNWIND $names AS name
    MATCH (:User {screen_name: name})-[:INDMCHECKBUCKET]->(b:DMCheckBucket)
    WITH DISTINCT b ORDER BY b.uuid
    SET b.uuid = b.uuid
    RETURN collect(b) AS buckets
}
CALL () {
    UNWIND $names AS name
    OPTIONAL MATCH (u:User {screen_name: name})
    WITH name, u, u IS NOT NULL AS known
    DETACH DELETE u
    RETURN sum(CASE WHEN known THEN 1 ELSE 0 END) AS deleted, collect(CASE WHEN NOT known THEN name END) AS unknown
}
CALL (buckets) {
    UNWIND buckets AS b
    WITH b WHERE b.ready IS NOT NULL AND NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-() }
    DETACH DELETE b
}
RETURN deleted, unknown
