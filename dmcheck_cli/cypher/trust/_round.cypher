// One run of judge_clients at a time writes: whoever read before the last batch was written does nothing.
MERGE (job:DMCheckJob {name: 'judge_clients'})
SET job.name = job.name
WITH collect(job) AS locked
UNWIND locked AS job
WITH job WHERE coalesce(job.round, 0) = $round
