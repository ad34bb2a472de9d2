// Deletes leases that ended long ago; keeps the newest lease of a bucket that still exists.
// Parameters: keep_seconds, limits, schema.
// Columns: forgotten. No row: the graph has another version.
// Repeating: a deleted lease is not found again.
// include: _graph
CALL () {
    MATCH (l:DMCheckLease) WHERE l.ended < datetime() - duration({seconds: $keep_seconds})
        AND NOT EXISTS { MATCH (b:DMCheckBucket {uuid: l.bucket}) WHERE b.newest = l.id }
    WITH l LIMIT $limits.batch_leases
    DELETE l
    RETURN count(l) AS forgotten
}
RETURN forgotten
