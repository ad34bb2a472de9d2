// Takes over buckets as another system left them. A bucket held by an active client gets a lease record; any other
// waits in line, or is deleted if it has no users.
// Parameters: limits, schema.
// Columns: adopted (buckets). No row: the graph has another version.
// Repeating: an adopted bucket is not found again.
// include: _graph
CALL () {
    MATCH (b:DMCheckBucket)
    // include: _odd_bucket
    WITH b LIMIT $limits.batch_adopted
    RETURN collect(b) AS odd
}
CALL (odd) {
    UNWIND odd AS b
    MATCH (b)-[:DMCHECKCLIENT]->(c)
    WITH DISTINCT c ORDER BY c.id
    REMOVE c.lock
}
CALL (odd) {
    UNWIND odd AS b
    WITH b ORDER BY b.uuid
    REMOVE b.lock
    RETURN collect(b) AS locked
}
CALL (locked) {
    UNWIND locked AS b
    // include: _odd_bucket
    SET b.uuid = CASE WHEN b.uuid IS :: STRING NOT NULL THEN b.uuid ELSE replace(randomUUID(), '-', '') END,
        b.priority = CASE WHEN b.priority IS :: INTEGER NOT NULL THEN b.priority ELSE $limits.default_priority END
    WITH b
    OPTIONAL MATCH (b)-[held:DMCHECKCLIENT]->(c)
    OPTIONAL MATCH (l:DMCheckLease {id: b.newest})
    WITH b, held, c, l, CASE
        WHEN NOT coalesce(c:DMCheckClient AND c.state = 'ACTIVE' AND c.suspended IS NULL
            AND c.id IS :: INTEGER NOT NULL, false) THEN 'nobody'
        WHEN l.client = c.id AND l.bucket = b.uuid AND l.digest IS NULL THEN 'as recorded'
        ELSE 'off the record' END AS holds ORDER BY holds
    WITH b, collect(held) AS holders, collect(c)[0] AS c, collect(l)[0] AS l, collect(holds)[0] AS holds
    FOREACH (held IN CASE holds WHEN 'nobody' THEN holders ELSE holders[1..] END | DELETE held)
    FOREACH (x IN CASE holds WHEN 'nobody' THEN [] ELSE [b] END | REMOVE x.place)
    FOREACH (x IN CASE holds WHEN 'off the record' THEN [b] ELSE [] END |
        SET x.newest = CASE WHEN l IS NULL AND x.newest IS :: STRING NOT NULL THEN x.newest ELSE randomUUID() END
        CREATE (:DMCheckLease {id: x.newest, client: c.id, bucket: x.uuid, unjudged: true, assigned_datetime: CASE
            WHEN x.assigned_datetime IS :: ZONED DATETIME NOT NULL THEN x.assigned_datetime ELSE datetime() END})
    )
    WITH b, holds
    CALL (b, holds) {
        WITH b WHERE holds = 'nobody'
        // include: _give_back
    }
    RETURN count(b) AS adopted
}
RETURN adopted
