// The Neo4j version, and when each job last ran to completion.
// Parameters: none.
// Columns: version, now, jobs (a list of maps: name, last_success_time).
// Repeating: reads only.
CALL dbms.components() YIELD name, versions
WITH name, versions WHERE name = 'Neo4j Kernel'
WITH versions[0] AS version
CALL () {
    MATCH (job:DMCheckJob)
    WITH job ORDER BY job.name
    RETURN collect({
        name: toStringOrNull(job.name), last_success_time: toStringOrNull(job.last_success_time)
    }) AS jobs
}
RETURN version, toString(datetime()) AS now, jobs
