// How many leases reclaim_leases would mark dead and release now.
// Parameters: lease_seconds, grace_seconds.
// Columns: marked_dead, released.
// Repeating: reads only.
CALL () {
    // include: _expired_leases
    RETURN count(b) AS marked_dead
}
CALL () {
    // include: _dead_leases
    RETURN count(b) AS released
}
RETURN marked_dead, released
