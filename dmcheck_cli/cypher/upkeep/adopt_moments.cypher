// Reads the times of buckets, clients and counters that another system stored as texts or without a zone.
// Parameters: limits, schema.
// Columns: adopted (nodes). No row: the graph has another version.
// Repeating: a time that was read is not found again.
// include: _graph
CALL () {
    MATCH (b:DMCheckBucket)
    WITH b, [b.assigned_datetime, b.dead_datetime, b.edit_datetime] AS found
    WITH b, found,
    // include: _moments
        AS times
    WITH b WHERE
    // include: _unread
    WITH b LIMIT $limits.batch_adopted
    WITH b ORDER BY elementId(b)
    REMOVE b.lock
    WITH collect(b) AS locked
    UNWIND locked AS b
    WITH b, [b.assigned_datetime, b.dead_datetime, b.edit_datetime] AS found
    WITH b,
    // include: _moments
        AS times
    SET b.assigned_datetime = times[0], b.dead_datetime = times[1], b.edit_datetime = times[2]
    RETURN count(b) AS buckets
}
CALL () {
    MATCH (c:DMCheckClient)-[:STATS]->(s)
    WITH c, s, [c.create_datetime, c.edit_datetime, s.last_access_time] AS found
    WITH c, s, found,
    // include: _moments
        AS times
    WITH c, s WHERE
    // include: _unread
    WITH c, s LIMIT $limits.batch_adopted
    WITH c, s ORDER BY elementId(c)
    REMOVE c.lock
    WITH collect([c, s]) AS locked
    UNWIND locked AS pair
    WITH pair[0] AS c, pair[1] AS s
    WITH c, s, [c.create_datetime, c.edit_datetime, s.last_access_time] AS found
    WITH c, s,
    // include: _moments
        AS times
    SET c.create_datetime = times[0], c.edit_datetime = times[1], s.last_access_time = times[2]
    RETURN count(c) AS clients
}
RETURN buckets + clients AS adopted
