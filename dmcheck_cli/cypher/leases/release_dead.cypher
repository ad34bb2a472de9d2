// Releases leases that have been dead for the grace period: their buckets wait again.
// Parameters: grace_seconds, limits, schema.
// Columns: released. No row: the graph has another version.
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
    WITH collect(b) AS dead
    UNWIND dead AS b
    WITH b, 'died' AS how
    // include: _end_lease
    // include: _give_back
    RETURN count(b) AS released
}
RETURN released
