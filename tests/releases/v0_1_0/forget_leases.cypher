MATCH (l:DMCheckLease) WHERE l.assigned_datetime < datetime() - duration({seconds: $keep_seconds})
    AND NOT EXISTS { MATCH (b:DMCheckBucket {uuid: l.bucket}) WHERE b.lease = l.id }
WITH l LIMIT $batch
DELETE l
RETURN count(l) AS forgotten
