    // Buckets that have waited too long and are not at the front yet.
    MATCH (b:DMCheckBucket)
    WHERE b.priority > $front AND b.ready IS NOT NULL
        AND b.edit_datetime <= datetime() - duration({seconds: $starved_seconds})
