// Sets properties of clients' counters: containment, its end, records and shares.
// Parameters: round (as read), clients (maps of id and `set`: the properties), common (the correlation of errors at which
//   all users are looked at), schema.
// Columns: settled (clients). No row: another run has written meanwhile, or the graph has another version.
// Repeating: the second run finds another round.
// include: _graph
// include: _round
SET job.round = coalesce(job.round, 0) + 1, job.common = $common
WITH job
CALL () {
    UNWIND $clients AS one
    WITH one ORDER BY one.id
    MATCH (c:DMCheckClient {id: one.id})
    REMOVE c.lock
    WITH one, c
    MATCH (c)-[:STATS]->(s:DMCheckClientStats)
    SET s += one.set
    RETURN count(s) AS settled
}
RETURN settled
