// Turns into records the leases that a command of release 0.1.0, which was running during the upgrade, took and ended
// after it. Those of the last hour: reclaim_leases, which runs every quarter of an hour, must not read all that there are.
// Parameters: step (1), limits.
// Columns: upgraded (leases). No row: the graph has another version.
// Repeating: skips leases that have ended or are held.
// include: _upgrading
CALL () {
    MATCH (old:DMCheckLease) WHERE old.assigned_datetime > datetime() - duration('PT1H') AND old.ended IS NULL
        AND old.unjudged IS NULL AND NOT EXISTS { MATCH (b:DMCheckBucket {uuid: old.bucket}) WHERE b.lease = old.id }
    WITH old LIMIT $limits.batch_upgraded
    WITH old ORDER BY old.id
    SET old.id = old.id
    RETURN collect(old) AS locked
}
// include: _record_old_lease
RETURN upgraded
