// Deletes leases that ended, and events that happened, long ago; keeps the newest lease of a bucket that still exists.
// Parameters: keep_seconds, limits, schema.
// Columns: forgotten (leases and events). No row: the graph has another version.
// Repeating: what was deleted is not found again.
// include: _graph
CALL () {
    MATCH (l:DMCheckLease) WHERE l.ended < datetime() - duration({seconds: $keep_seconds})
        AND NOT EXISTS { MATCH (b:DMCheckBucket {uuid: l.bucket}) WHERE b.newest = l.id }
    WITH l LIMIT $limits.batch_leases
    DELETE l
    RETURN count(l) AS leases
}
CALL () {
    MATCH (e:DMCheckEvent) WHERE e.at < datetime() - duration({seconds: $keep_seconds})
    WITH e LIMIT $limits.batch_leases
    DELETE e
    RETURN count(e) AS events
}
RETURN leases + events AS forgotten
