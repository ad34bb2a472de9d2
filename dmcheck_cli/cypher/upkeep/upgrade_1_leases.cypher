// Turns the leases of release 0.1.0 into records of what happened. That release stored neither their end nor the
// answers of each kind; their start counts as their end.
// Parameters: step (1), limits.
// Columns: upgraded (leases). No row: the graph has another version.
// Repeating: skips leases that have ended or are held.
// include: _upgrading
CALL () {
    MATCH (old:DMCheckLease) WHERE old.ended IS NULL AND old.unjudged IS NULL
        AND NOT EXISTS { MATCH (b:DMCheckBucket {uuid: old.bucket}) WHERE b.lease = old.id }
    WITH old LIMIT $limits.batch_upgraded
    WITH old ORDER BY old.id
    SET old.id = old.id
    RETURN collect(old) AS locked
}
// include: _record_old_lease
RETURN upgraded
