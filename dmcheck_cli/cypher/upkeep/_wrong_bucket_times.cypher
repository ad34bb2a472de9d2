    // A time of the bucket `b` that is in the future (a fast clock wrote it), missing, or not a time.
    WITH b, datetime() + duration({seconds: $limits.max_skew_seconds}) AS latest,
         EXISTS { (b)-[:DMCHECKCLIENT]->() } AS held
    WHERE NOT coalesce(b.edit_datetime <= latest, false) OR held AND NOT coalesce(
        b.assigned_datetime <= latest AND b.expires IS :: ZONED DATETIME NOT NULL
        AND coalesce(b.renewed_datetime, latest) <= latest AND coalesce(b.dead_datetime, latest) <= latest, false)
