        // One more lease `l` in a row of the bucket `b` without an answer; from the second client on, nobody's fault.
        SET l.excused = CASE WHEN b.failed_by <> l.client THEN true END,
            b.failed_by = coalesce(b.failed_by, l.client), b.failures = coalesce(b.failures, 0) + 1
