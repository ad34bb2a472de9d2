// Moves buckets that have waited too long to the front of the line.
// Parameters: starved_seconds, front (the priority of the front), batch (the most buckets in one run).
// Columns: raised.
// Repeating: a raised bucket is at the front, so it is not raised again.
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
    UNWIND uuids AS uuid
    MATCH (b:DMCheckBucket {uuid: uuid}) WHERE b.priority > $front AND b.ready IS NOT NULL
    SET b.priority = $front
    RETURN count(b) AS raised
}
RETURN raised
