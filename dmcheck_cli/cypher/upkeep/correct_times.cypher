// Repairs times of buckets and leases that a fast clock or another program stored: a time that is in the future,
// invalid or missing counts as now. A lease then keeps its length, counted from now.
// Parameters: lease_seconds (for a lease of unknown length), limits, schema.
// Columns: corrected (buckets and leases). No row: the graph has another version.
// Repeating: a repaired time is not found again.
// include: _graph
CALL () {
    MATCH (b:DMCheckBucket)
    // include: _wrong_bucket_times
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
    UNWIND uuids AS uuid
    MATCH (b:DMCheckBucket {uuid: uuid})
    // include: _wrong_bucket_times
    WITH b, latest, held, coalesce(b.renewed_datetime, b.assigned_datetime) AS began
    WITH b, latest, held, CASE WHEN began <= latest THEN began ELSE datetime() END AS begins,
         began <= latest AND b.expires IS :: ZONED DATETIME NOT NULL AS ends_as_said,
         CASE WHEN began <= b.expires THEN duration.inSeconds(began, b.expires)
             ELSE duration({seconds: $lease_seconds}) END AS length
    SET b.edit_datetime = CASE WHEN b.edit_datetime <= latest THEN b.edit_datetime ELSE datetime() END
    FOREACH (x IN CASE WHEN held THEN [b] ELSE [] END |
        SET x.expires = CASE WHEN ends_as_said THEN x.expires ELSE begins + length END,
            x.assigned_datetime = CASE WHEN x.assigned_datetime <= latest THEN x.assigned_datetime ELSE datetime() END,
            x.renewed_datetime = CASE
                WHEN x.renewed_datetime <= latest THEN x.renewed_datetime
                WHEN x.renewed_datetime IS NOT NULL THEN datetime() END,
            x.dead_datetime = CASE
                WHEN x.dead_datetime <= latest THEN x.dead_datetime
                WHEN x.dead_datetime IS NOT NULL THEN datetime() END
    )
    RETURN count(b) AS buckets
}
CALL () {
    MATCH (ahead:DMCheckLease)
    WHERE ahead.assigned_datetime > datetime() + duration({seconds: $limits.max_skew_seconds})
    WITH ahead LIMIT $limits.batch_raised
    WITH ahead ORDER BY ahead.id
    SET ahead.id = ahead.id
    WITH collect(ahead) AS locked
    UNWIND locked AS l
    WITH l WHERE l.assigned_datetime > datetime() + duration({seconds: $limits.max_skew_seconds})
    SET l.assigned_datetime = datetime()
    RETURN count(l) AS leases
}
RETURN buckets + leases AS corrected
