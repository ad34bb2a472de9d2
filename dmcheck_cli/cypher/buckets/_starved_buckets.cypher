    // Overdue waiting buckets that are not yet as far forward as they should be. Each step of lateness moves a bucket
    // one place forward, so no bucket that becomes overdue later overtakes it.
    MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL AND b.edit_datetime <= datetime()
    WITH b, duration.inSeconds(b.edit_datetime, datetime()).seconds
        - CASE WHEN coalesce(b.raised_from, b.priority) < $limits.default_priority
            THEN $prioritized_seconds ELSE $starved_seconds END AS late
    WITH b, -1 - late / $limits.step_seconds AS place WHERE late >= 0 AND place < b.priority
