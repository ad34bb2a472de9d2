// Stores what clients have earned and what their buckets tell about them, and marks the leases behind it as judged.
// Parameters: round (as read), verdicts (per client: client; leases: the ids of the judged leases; faults: the faults
//   judged; allowance, reason, turnaround; set: properties that trust changes), schema.
// Columns: judged (the ids of the clients). No row: another run has written meanwhile, or the graph has another version.
// Repeating: the second run finds another round.
// include: _graph
// include: _round
SET job.round = coalesce(job.round, 0) + 1
WITH job
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
    CALL (verdict) {
        UNWIND verdict.leases AS id
        MATCH (l:DMCheckLease {id: id})
        REMOVE l.unjudged
    }
    SET s += verdict.set, s.faults_judged = verdict.faults
    FOREACH (x IN CASE WHEN verdict.reason IS NULL THEN [] ELSE [s] END |
        SET x.allowance = verdict.allowance, x.judged_for = verdict.reason, x.judged_datetime = datetime(),
            x.turnaround_seconds = coalesce(verdict.turnaround, x.turnaround_seconds)
    )
    WITH verdict, c, s
    CALL (c) {
        MATCH (l:DMCheckLease {unjudged: true, client: c.id}) WHERE l.how = 'answered'
        RETURN count(l) AS left
    }
    SET s.processed_judged = coalesce(toIntegerOrNull(s.buckets_processed), 0) - left
    RETURN collect(verdict.client) AS judged
}
RETURN judged
