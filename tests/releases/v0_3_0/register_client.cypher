MATCH (:DMCheckSchema {name: 'graph', version: $schema})
CALL () {
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
    WITH c, c.screen_name <> $screen_name AS wrong WHERE c:DMCheckClient
    FOREACH (x IN CASE WHEN wrong THEN [] ELSE [c] END |
        SET x.edit_datetime = CASE WHEN x.state = 'ACTIVE' THEN x.edit_datetime ELSE datetime() END,
            x.state = 'ACTIVE',
            x.capacity = coalesce($capacity, toIntegerOrNull(x.capacity)),
            x.dm_from_id = coalesce($dm_from_id, x.dm_from_id),
            x.dm_from_screen_name = coalesce($dm_from_screen_name, x.dm_from_screen_name)
        MERGE (x)-[:STATS]->(s:DMCheckClientStats)
        ON CREATE SET s.buckets_assigned = 0, s.buckets_processed = 0, s.buckets_fault = 0, s.buckets_dead = 0
    )
    RETURN c, wrong
    UNION
    WITH too_many WHERE too_many
    RETURN null AS c, false AS wrong
}
RETURN CASE WHEN c IS NULL THEN 'too_many' WHEN wrong THEN 'wrong_details' ELSE 'registered' END AS outcome,
       c {
           .id, screen_name: toStringOrNull(c.screen_name), state: toStringOrNull(c.state),
           capacity: coalesce(toIntegerOrNull(c.capacity), $limits.start_allowance),
           dm_from_id: toIntegerOrNull(c.dm_from_id),
           dm_from_screen_name: toStringOrNull(c.dm_from_screen_name),
           first_registered: toStringOrNull(c.create_datetime), last_registered: toStringOrNull(c.edit_datetime)
       } AS client
