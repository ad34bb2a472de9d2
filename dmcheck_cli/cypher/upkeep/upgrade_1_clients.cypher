// A client of release 0.1.0 with its default capacity of 10 counts as one without a stated capacity. That release
// treated a stored allowance of 0 as 1.
// Parameters: step (1), limits.
// Columns: upgraded (clients). No row: the graph has another version.
// Repeating: a changed client is not found again.
MATCH (:DMCheckSchema {name: 'graph', upgrading: $step})
CALL () {
    MATCH (old:DMCheckClient) WHERE old.capacity = 10 OR EXISTS {
        MATCH (old)-[:STATS]->(s:DMCheckClientStats) WHERE s.asked IS NOT NULL OR s.allowance < 1
    }
    WITH old LIMIT $limits.batch_upgraded
    WITH old ORDER BY old.id
    SET old.id = old.id
    RETURN collect(old) AS locked
}
CALL (locked) {
    // Other processes may have changed them and finished; a client of the next release that states 10 means it.
    UNWIND locked AS c
    MATCH (:DMCheckSchema {name: 'graph', upgrading: $step})
    OPTIONAL MATCH (c)-[:STATS]->(s:DMCheckClientStats)
    WITH c, s WHERE c.capacity = 10 OR s.asked IS NOT NULL OR s.allowance < 1
    SET s.allowance = CASE WHEN s.allowance < 1 THEN 1 ELSE s.allowance END
    REMOVE s.asked
    WITH DISTINCT c
    SET c.capacity = CASE WHEN c.capacity <> 10 THEN c.capacity END
    RETURN count(c) AS upgraded
}
RETURN upgraded
