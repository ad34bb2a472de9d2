MERGE (job:DMCheckJob {name: $name})
SET job.last_success_time = datetime(), job.cursor = coalesce($cursor, job.cursor)
