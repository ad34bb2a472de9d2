MATCH (:DMCheckSchema {name: 'graph', version: $schema})
CALL () {
    MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL AND b.edit_datetime <= datetime()
    WITH b, duration.inSeconds(b.edit_datetime, datetime()).seconds
        - CASE WHEN coalesce(b.raised_from, b.priority) < $limits.default_priority
            THEN $prioritized_seconds ELSE $starved_seconds END AS late
    WITH b, -1 - late / $limits.step_seconds AS place WHERE late >= 0 AND place < b.priority
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
    MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL AND b.edit_datetime <= datetime()
    WITH b, duration.inSeconds(b.edit_datetime, datetime()).seconds
        - CASE WHEN coalesce(b.raised_from, b.priority) < $limits.default_priority
            THEN $prioritized_seconds ELSE $starved_seconds END AS late
    WITH b, -1 - late / $limits.step_seconds AS place WHERE late >= 0 AND place < b.priority
        AND b.uuid IN uuids
    SET b.raised_from = coalesce(b.raised_from, b.priority), b.priority = place
    RETURN count(b) AS raised
}
RETURN raised
