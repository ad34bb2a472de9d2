    // Leases that have been dead for the grace period.
    MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(c:DMCheckClient)
    WHERE b.dead_datetime <= datetime() - duration({seconds: $grace_seconds})
