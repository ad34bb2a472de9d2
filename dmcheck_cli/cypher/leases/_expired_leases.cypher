    // Leases past their promised end, or held longer than this job's own setting allows.
    MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(c:DMCheckClient)
    WHERE b.dead_datetime IS NULL AND (
        coalesce(b.expires <= datetime(), false) OR coalesce(
            coalesce(b.renewed_datetime, b.assigned_datetime) <= datetime() - duration({seconds: $lease_seconds}),
            b.expires IS NULL))
