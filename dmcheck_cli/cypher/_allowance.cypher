// What the client `c` with the counters `s` has earned: `earned` leases, at least one. A refusal may move nothing but
// `buckets_fault`, so the faults since the last judgement are taken off here: each halves what was earned.
WITH *, coalesce(toIntegerOrNull(s.buckets_fault), 0) - coalesce(toIntegerOrNull(s.faults_judged), 0) AS faults
WITH *, toInteger(coalesce(toIntegerOrNull(s.allowance), $start_allowance) / 2 ^ faults) AS left
WITH *, CASE WHEN left < 1 THEN 1 ELSE left END AS earned
