// Forgets leases that ended long ago; the newest lease of a bucket that is still there is kept.
// Parameters: keep_seconds, batch (the most leases in one run).
// Columns: forgotten.
// Repeating: what is gone is not found again.
MATCH (l:DMCheckLease) WHERE l.assigned_datetime < datetime() - duration({seconds: $keep_seconds})
    AND NOT EXISTS { MATCH (b:DMCheckBucket {uuid: l.bucket}) WHERE b.lease = l.id }
WITH l LIMIT $batch
DELETE l
RETURN count(l) AS forgotten
