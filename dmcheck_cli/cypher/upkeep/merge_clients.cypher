// Joins two nodes of one client id, also where it is a text in one of them: all that the spare one has goes to the
// other, a batch at a time; in the end its counters are added, and it is deleted. The ACTIVE one is kept.
// Parameters: limits.
// Columns: moved (relationships, and the node). No version is checked: without the constraint no release works, and none
//   finds a client by a text.
// Repeating: what was moved is not found again.
CALL () {
    MATCH (c:DMCheckClient) WHERE c.id IS NOT NULL
    // include: _one_id
    WITH id, collect(c) AS nodes WHERE size(nodes) > 1
    RETURN nodes LIMIT 1
}
CALL (nodes) {
    UNWIND nodes AS c
    WITH c ORDER BY elementId(c)
    REMOVE c.lock
    WITH collect(c) AS locked
    UNWIND locked AS c
    WITH c WHERE c:DMCheckClient
    WITH c ORDER BY CASE c.state WHEN 'ACTIVE' THEN 0 ELSE 1 END, elementId(c)
    RETURN collect(c)[0..2] AS pair
}
WITH pair[0] AS kept, pair[1] AS spare WHERE spare IS NOT NULL
CALL (kept, spare) {
    MATCH (spare)-[r]->(x) WHERE type(r) <> 'STATS'
    WITH kept, r, x LIMIT $limits.batch_adopted
    CREATE (kept)-[n:$(type(r))]->(x)
    SET n = properties(r)
    DELETE r
    RETURN count(*) AS given
}
CALL (kept, spare) {
    MATCH (spare)<-[r]-(x)
    WITH kept, r, x LIMIT $limits.batch_adopted
    CREATE (kept)<-[n:$(type(r))]-(x)
    SET n = properties(r)
    DELETE r
    RETURN count(*) AS held
}
CALL (kept, spare) {
    WITH kept, spare WHERE COUNT { (spare)--() } = COUNT { (spare)-[:STATS]->() }
    OPTIONAL MATCH (spare)-[:STATS]->(s)
    WITH kept, spare, collect(s) AS counters
    MERGE (kept)-[:STATS]->(total:DMCheckClientStats)
    FOREACH (s IN counters | SET
        total.buckets_assigned = coalesce(toIntegerOrNull(total.buckets_assigned), 0) + coalesce(toIntegerOrNull(s.buckets_assigned), 0),
        total.buckets_processed = coalesce(toIntegerOrNull(total.buckets_processed), 0) + coalesce(toIntegerOrNull(s.buckets_processed), 0),
        total.buckets_fault = coalesce(toIntegerOrNull(total.buckets_fault), 0) + coalesce(toIntegerOrNull(s.buckets_fault), 0),
        total.buckets_dead = coalesce(toIntegerOrNull(total.buckets_dead), 0) + coalesce(toIntegerOrNull(s.buckets_dead), 0)
        // The other's time may be a text.
        FOREACH (x IN CASE WHEN total.last_access_time > s.last_access_time THEN [] ELSE [s] END |
            SET total.last_access_time = coalesce(x.last_access_time, total.last_access_time))
        DETACH DELETE s)
    SET kept.create_datetime = CASE WHEN spare.create_datetime < kept.create_datetime THEN spare.create_datetime
        ELSE kept.create_datetime END
    DETACH DELETE spare
    RETURN count(*) AS ended
}
RETURN given + held + ended AS moved
