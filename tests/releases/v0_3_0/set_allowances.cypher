MATCH (:DMCheckSchema {name: 'graph', version: $schema})
CALL () {
    UNWIND $verdicts AS verdict
    WITH verdict ORDER BY verdict.client
    MATCH (c:DMCheckClient {id: verdict.client})
    REMOVE c.lock
    WITH collect({verdict: verdict, c: c}) AS locked
    UNWIND locked AS one
    WITH one.verdict AS verdict, one.c AS c
    CALL (c) {
        MATCH (c)-[:STATS]->(s:DMCheckClientStats)
        RETURN s LIMIT 1
    }
    WITH verdict, s, COLLECT {
        UNWIND verdict.leases AS id
        MATCH (l:DMCheckLease {id: id}) WHERE l.unjudged
        RETURN l
    } AS leases
    WHERE size(leases) = size(verdict.leases)
        AND coalesce(toIntegerOrNull(s.allowance), 0) = coalesce(verdict.before, 0)
        AND coalesce(toIntegerOrNull(s.faults_judged), 0) = verdict.faults_judged
    SET s.faults_judged = verdict.faults
    FOREACH (l IN leases | REMOVE l.unjudged)
    FOREACH (x IN CASE WHEN verdict.reason IS NULL THEN [] ELSE [s] END |
        SET x.allowance = verdict.allowance, x.judged_for = verdict.reason, x.judged_datetime = datetime(),
            x.turnaround_seconds = coalesce(verdict.turnaround, x.turnaround_seconds)
    )
    RETURN collect(verdict.client) AS judged
}
RETURN judged
