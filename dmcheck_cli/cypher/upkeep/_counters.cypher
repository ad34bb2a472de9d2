// In the counters `s`, a value from another program that is no number, or too large to count with, counts as 0, and a
// future time as now.
FOREACH (x IN CASE
    WHEN all(n IN [s.buckets_assigned, s.buckets_processed, s.buckets_fault, s.buckets_dead, coalesce(s.allowance, 0),
            coalesce(s.faults_judged, 0), coalesce(s.buckets_failed, 0)]
            WHERE n IS :: INTEGER NOT NULL AND -1e15 < n < 1e15)
        AND (s.last_access_time IS NULL OR coalesce(s.last_access_time <= datetime(), false)) THEN []
    ELSE [s] END |
    FOREACH (key IN ['buckets_assigned', 'buckets_processed', 'buckets_fault', 'buckets_dead'] |
        SET x[key] = CASE WHEN -1e15 < toIntegerOrNull(x[key]) < 1e15 THEN toIntegerOrNull(x[key]) ELSE 0 END)
    FOREACH (key IN ['allowance', 'faults_judged', 'buckets_failed'] |
        SET x[key] = CASE WHEN -1e15 < toIntegerOrNull(x[key]) < 1e15 THEN toIntegerOrNull(x[key]) END)
    SET x.last_access_time = CASE
        WHEN x.last_access_time <= datetime() THEN x.last_access_time
        WHEN x.last_access_time IS NOT NULL THEN datetime() END
)
