// Moves buckets that have waited too long to the front of the line, the longest overdue first.
// Parameters: starved_seconds (how long an ordinary bucket may wait), prioritized_seconds (how long a prioritized one),
//   default_priority (of ordinary ones), step (seconds of lateness for each further place), batch (the most buckets in
//   one run).
// Columns: raised.
// Repeating: a bucket that is where its lateness puts it is not raised again.
CALL () {
    // include: _starved_buckets
    WITH b LIMIT $batch
    RETURN collect(b.uuid) AS uuids
}
CALL (uuids) {
    UNWIND uuids AS uuid
    WITH uuid ORDER BY uuid
    MATCH (b:DMCheckBucket {uuid: uuid})
    SET b.uuid = b.uuid
}
CALL (uuids) {
    // include: _starved_buckets
        AND b.uuid IN uuids
    SET b.raised_from = coalesce(b.raised_from, b.priority), b.priority = place
    RETURN count(b) AS raised
}
RETURN raised
