// Stores what clients have earned, and marks the leases behind each verdict as judged.
// Parameters: verdicts (per client: client, before, faults_judged: as read; leases: the ids of the judged leases;
//   faults: the faults judged; allowance, reason, turnaround), schema.
// Columns: judged (the ids of the clients whose verdict was stored: no other run judged them meanwhile). No row: the
//   graph has another version.
// Repeating: judged leases and faults are marked as such, so they are not judged again.
// include: _graph
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
