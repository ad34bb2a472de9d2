    // Whether too many leases of the bucket `b` in a row ended without an answer.
    b.failures >= $limits.max_failures[CASE WHEN b.split THEN 1 ELSE 0 END]
