// Moves buckets that have waited too long to the front of the line, the longest overdue first.
// Parameters: starved_seconds (how long an ordinary bucket may wait), prioritized_seconds (how long a prioritized one),
//   limits, schema.
// Columns: raised. No row: the graph is of another version.
// Repeating: a bucket that is where its lateness puts it is not raised again.
// include: _graph
CALL () {
    // include: _starved_buckets
    WITH b LIMIT $limits.batch_raised
    RETURN collect(b.uuid) AS uuids
}
CALL (uuids) {
    UNWIND uuids AS uuid
    WITH uuid ORDER BY uuid
    MATCH (b:DMCheckBucket {uuid: uuid})
    REMOVE b.lock
}
CALL (uuids) {
    // include: _starved_buckets
        AND b.uuid IN uuids
    SET b.raised_from = coalesce(b.raised_from, b.priority), b.priority = place
    RETURN count(b) AS raised
}
RETURN raised
