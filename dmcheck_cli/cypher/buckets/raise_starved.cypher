// Moves buckets that have waited too long to the front of the line, the most overdue first.
// Parameters: starved_seconds (maximum wait of an ordinary bucket), prioritized_seconds (maximum wait of a prioritized
//   one), limits, schema.
// Columns: raised (a list of uuids). No row: the graph has another version.
// Repeating: a bucket already at the place its lateness calls for is not raised again.
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
    RETURN collect(b.uuid) AS raised
}
RETURN raised
