// Takes over clients as another system left them: counters that are missing, not numbers, contradictory or duplicated;
// ids stored as text.
// Parameters: limits, schema.
// Columns: adopted (clients). No row: the graph has another version.
// Repeating: an adopted client is not found again.
// include: _graph
CALL () {
    MATCH (c:DMCheckClient)
    // include: _odd_client
    WITH c LIMIT $limits.batch_adopted
    WITH c ORDER BY c.id
    REMOVE c.lock
    RETURN collect(c) AS locked
}
CALL (locked) {
    UNWIND locked AS c
    // include: _odd_client
    SET c.id = CASE problem WHEN 'clients whose id is stored as a text' THEN toInteger(c.id) ELSE c.id END
    WITH c, COLLECT {
        MATCH (c)-[:STATS]->(s:DMCheckClientStats)
        RETURN s ORDER BY coalesce(toIntegerOrNull(s.buckets_assigned), -1) DESC
    } AS nodes
    FOREACH (spare IN nodes[1..] | DETACH DELETE spare)
    FOREACH (x IN CASE nodes WHEN [] THEN [c] ELSE [] END | CREATE (x)-[:STATS]->(:DMCheckClientStats))
    WITH c
    MATCH (c)-[:STATS]->(s:DMCheckClientStats)
    // include: _counters
    WITH s, COUNT { (c)<-[:DMCHECKCLIENT]-() } AS held, COLLECT {
        UNWIND [s.buckets_processed, s.buckets_fault, s.buckets_dead] AS n
        RETURN CASE WHEN n < 0 THEN 0 ELSE n END
    } AS counts
    SET s.buckets_processed = counts[0], s.buckets_fault = counts[1], s.buckets_dead = counts[2],
        s.buckets_assigned = reduce(most = s.buckets_assigned, n IN [counts[0], counts[2], held] |
            CASE WHEN n > most THEN n ELSE most END)
    RETURN count(s) AS adopted
}
RETURN adopted
