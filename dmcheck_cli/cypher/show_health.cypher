// Which Neo4j this is, and when each job last ran to its end.
// Parameters: none.
// Columns: version, jobs (a list of maps: name, last_success_time, seconds_ago).
// Repeating: reads only.
CALL dbms.components() YIELD versions
WITH versions[0] AS version
CALL () {
    OPTIONAL MATCH (job:DMCheckJob) WHERE job.last_success_time IS NOT NULL
    WITH job ORDER BY job.name
    RETURN collect(CASE WHEN job IS NOT NULL THEN {
        name: job.name, last_success_time: toString(job.last_success_time),
        seconds_ago: duration.inSeconds(job.last_success_time, datetime()).seconds
    } END) AS jobs
}
RETURN version, jobs
