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
CALL (locked) {
    UNWIND locked AS l
    WITH l WHERE l.ended IS NULL AND l.unjudged IS NULL
    SET l += {ended: coalesce(l.assigned_datetime, datetime()), users: coalesce(l.accepted + l.returned, l.given_back),
        how: CASE WHEN l.accepted > 0 THEN 'answered' WHEN l.digest IS NOT NULL OR l.given_back IS NOT NULL
            THEN 'released' WHEN l.died THEN 'died' ELSE 'returned' END}
    REMOVE l.returned, l.given_back
    RETURN count(l) AS upgraded
}
RETURN upgraded
