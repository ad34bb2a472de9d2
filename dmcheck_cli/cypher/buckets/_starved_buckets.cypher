    // Waiting buckets that are overdue, and that are not as far in front as they should be: each step of lateness
    // brings a bucket one further to the front, so none that is overdue later overtakes it.
    MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL AND b.edit_datetime <= datetime()
    WITH b, duration.inSeconds(b.edit_datetime, datetime()).seconds
        - CASE WHEN coalesce(b.raised_from, b.priority) < $limits.default_priority
            THEN $prioritized_seconds ELSE $starved_seconds END AS late
    WITH b, -1 - late / $limits.step_seconds AS place WHERE late >= 0 AND place < b.priority
