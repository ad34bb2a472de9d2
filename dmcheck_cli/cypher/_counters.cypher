// What another program stored in the counters `s` as no number counts as 0, and a time that lies in the future as now.
FOREACH (x IN CASE
    WHEN s.buckets_assigned IS :: INTEGER NOT NULL AND s.buckets_processed IS :: INTEGER NOT NULL
        AND s.buckets_fault IS :: INTEGER NOT NULL AND s.buckets_dead IS :: INTEGER NOT NULL
        AND s.allowance IS :: INTEGER AND s.asked IS :: INTEGER AND s.faults_judged IS :: INTEGER
        AND (s.last_access_time IS NULL OR coalesce(s.last_access_time <= datetime(), false)) THEN []
    ELSE [s] END |
    SET x.buckets_assigned = coalesce(toIntegerOrNull(x.buckets_assigned), 0),
        x.buckets_processed = coalesce(toIntegerOrNull(x.buckets_processed), 0),
        x.buckets_fault = coalesce(toIntegerOrNull(x.buckets_fault), 0),
        x.buckets_dead = coalesce(toIntegerOrNull(x.buckets_dead), 0),
        x.allowance = toIntegerOrNull(x.allowance), x.asked = toIntegerOrNull(x.asked),
        x.faults_judged = toIntegerOrNull(x.faults_judged),
        x.last_access_time = CASE
            WHEN x.last_access_time <= datetime() THEN x.last_access_time
            WHEN x.last_access_time IS NOT NULL THEN datetime() END
)
