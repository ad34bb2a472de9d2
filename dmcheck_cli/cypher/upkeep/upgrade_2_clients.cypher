// Counts what the next clients, by id, answered and were judged for.
// Parameters: step (2), after (the client id to continue after; 0 at first), slice (how many).
// Columns: last (the id of the last one; null when none). No row: the graph has another version.
// Repeating: counts the same again; nobody submits during an upgrade.
MATCH (:DMCheckSchema {name: 'graph', upgrading: $step})
CALL () {
    MATCH (c:DMCheckClient) WHERE c.id > $after
    WITH c ORDER BY c.id LIMIT $slice
    OPTIONAL MATCH (c)-[:STATS]->(s:DMCheckClientStats)
    SET s.processed_judged = coalesce(toIntegerOrNull(s.buckets_processed), 0) -
        COUNT { (l:DMCheckLease {unjudged: true, client: c.id}) WHERE l.how = 'answered' }
    RETURN max(c.id) AS last
}
RETURN last
