    // Leases that have been dead for the time of grace.
    MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(c:DMCheckClient)
    WHERE b.dead_datetime <= datetime() - duration({seconds: $grace_seconds})
