    // One more lease `l` in a row of the bucket `b` without an answer; from the second client on, nobody's fault: 0.
  SET l.excused = nullIf(b.failed_by <> l.client, false), b.failures = coalesce(b.failures, 0) + 1,
        b.failed_by = CASE WHEN b.failed_by <> l.client THEN 0 ELSE l.client END
