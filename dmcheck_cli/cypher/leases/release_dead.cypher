// Releases leases that have been dead for the grace period: their buckets wait again.
// Parameters: grace_seconds, limits, schema.
// Columns: released (a list of {client, bucket, lease}). No row: the graph has another version.
// Repeating: a released bucket has no holder, so it is not found again.
// include: _graph
CALL () {
    // include: _dead_leases
    WITH b, c LIMIT $limits.batch_leases
    RETURN collect(b.uuid) AS uuids, collect(c.id) AS ids
}
// include: _lock_held
CALL (uuids, ids) {
    // include: _dead_leases
        AND b.uuid IN uuids AND c.id IN ids
    WITH collect([b, {client: c.id, bucket: b.uuid, lease: b.newest}]) AS dead
    UNWIND dead AS one
    WITH one[0] AS b, one[1] AS told, 'died' AS how
    // include: _end_lease
    // include: _give_back
    RETURN collect(told) AS released
}
RETURN released
