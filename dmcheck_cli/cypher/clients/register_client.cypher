// Adds a client, or reactivates a known one that is not suspended.
// Parameters: id, screen_name, capacity, dm_from_id, dm_from_screen_name (each of the last three may be null: keep the
//   stored value), limits, schema.
// Columns: outcome ('registered', 'wrong_details', 'suspended', 'too_many'), client (a map). No row:
//   the graph has another version.
// Repeating: MERGE on the unique id finds the node of the first run; with the same details nothing changes.
// include: _graph
CALL () {
    // A registration time in the future was written by a wrong clock.
    MATCH (recent:DMCheckClient) WHERE recent.create_datetime > datetime() - duration('PT1H')
        AND recent.create_datetime <= datetime() + duration({seconds: $limits.max_skew_seconds})
    RETURN count(recent) AS recent
}
OPTIONAL MATCH (known:DMCheckClient {id: $id})
WITH known IS NULL AND recent >= $limits.max_new_clients_per_hour AS too_many
CALL (too_many) {
    WITH too_many WHERE NOT too_many
    MERGE (c:DMCheckClient {id: $id})
    ON CREATE SET c.screen_name = $screen_name, c.create_datetime = datetime()
    REMOVE c.lock
    // A client that was deleted meanwhile gives no row, so the statement is run again.
    WITH c, CASE WHEN toLower(toStringOrNull(c.screen_name)) <> toLower($screen_name)
        THEN 'wrong_details' WHEN c.suspended IS NOT NULL THEN 'suspended' ELSE 'registered' END AS outcome,
        c.state IS NOT NULL AND coalesce(c.dm_from_id <> $dm_from_id, $dm_from_id IS NOT NULL) AS moved WHERE c:DMCheckClient
    FOREACH (x IN CASE WHEN outcome = 'registered' AND NOT coalesce(c.state = 'ACTIVE'
            AND coalesce(c.capacity = $capacity, $capacity IS NULL)
            AND coalesce(c.dm_from_id = $dm_from_id, $dm_from_id IS NULL)
            AND coalesce(c.dm_from_screen_name = $dm_from_screen_name, $dm_from_screen_name IS NULL), false)
            THEN [c] ELSE [] END |
        CREATE (:DMCheckEvent {at: datetime(), event: 'registered', client: $id, users: 0})
    )
    FOREACH (x IN CASE outcome WHEN 'registered' THEN [c] ELSE [] END |
        SET x.edit_datetime = CASE WHEN x.state = 'ACTIVE' THEN x.edit_datetime ELSE datetime() END,
            x.state = 'ACTIVE',
            x.capacity = coalesce($capacity, toIntegerOrNull(x.capacity)),
            x.dm_from_id = coalesce($dm_from_id, x.dm_from_id),
            x.dm_from_screen_name = coalesce($dm_from_screen_name, x.dm_from_screen_name)
        MERGE (x)-[:STATS]->(s:DMCheckClientStats)
        ON CREATE SET s.buckets_assigned = 0, s.buckets_processed = 0, s.buckets_fault = 0, s.buckets_dead = 0
        // Of whom it is independent has changed: judge_clients looks at all its answers again.
        FOREACH (y IN CASE WHEN moved THEN [s] ELSE [] END | SET y.sweeping = 0.0)
    )
    RETURN c, outcome
    UNION
    WITH too_many WHERE too_many
    RETURN null AS c, 'too_many' AS outcome
}
RETURN outcome,
       // include: _client
