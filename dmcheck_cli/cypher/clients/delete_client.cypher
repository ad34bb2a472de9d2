// Forgets a client: gives back what it holds, and takes its id, names and counters out of the graph. Its answers stay,
// with a node that says only when it was deleted (the negative `id`, in milliseconds; -1 if what it said is doubted), and
// its counters within the sum of those of all who were deleted.
// Parameters: id, limits, schema.
// Columns: suspended (then nothing is changed), returned (buckets), answers (in force). No row: the graph has another
//   version.
// Repeating: the second run finds no such client, and nothing that names it.
// include: _graph
CALL () {
    MATCH (c:DMCheckClient {id: $id})
    REMOVE c.lock
}
CALL () {
    OPTIONAL MATCH (c:DMCheckClient {id: $id})
    RETURN c.suspended IS NOT NULL AS suspended, c.dm_from_id AS source
}
CALL (suspended) {
    MATCH (c:DMCheckClient {id: $id}) WHERE NOT suspended
    // include: _return_held
}
// Nothing leads from a client to what it had before, so these three go through all leases, events and buckets.
CALL (suspended) {
    MATCH (l:DMCheckLease) WHERE l.client = $id AND NOT suspended
    REMOVE l.client, l.request, l.unjudged
}
CALL (suspended) {
    MATCH (e:DMCheckEvent) WHERE e.client = $id AND NOT suspended
    SET e = {at: e.at, event: e.event, users: e.users, count: e.count,
        reason: CASE e.event WHEN 'refused' THEN e.reason END}
}
CALL (suspended, source) {
    // Its `dm_from_id` stays while another client states the same.
    WITH suspended, CASE WHEN EXISTS { (o:DMCheckClient {dm_from_id: source}) WHERE o.id <> $id } THEN null
        ELSE source END AS gone
    MATCH (b:DMCheckBucket) WHERE NOT suspended AND (
        b.last_client = $id OR b.failed_by = $id OR $id IN b.heard OR gone IN b.sources)
    SET b.last_client = CASE WHEN b.last_client <> $id THEN b.last_client END,
        b.failed_by = CASE b.failed_by WHEN $id THEN 0 ELSE b.failed_by END,
        b.heard = [x IN b.heard WHERE x <> $id], b.sources = [x IN b.sources WHERE coalesce(x <> gone, true)]
}
CALL (suspended) {
    UNWIND ['dm', 'check', 'conflict', 'unsure', 'contained', 'look'] AS needs
    MATCH (u:User {dmcheck_needs: needs, dmcheck_asked: $id}) WHERE NOT suspended
    SET u.dmcheck_asked = 0
}
CALL (suspended) {
    OPTIONAL MATCH (c:DMCheckClient {id: $id})
    OPTIONAL MATCH (c)-[:STATS]->(s)
    WITH c, collect(s) AS nodes, COUNT { (c)-[:DM_YES|DM_NO|DM_UNKNOWN]->() } AS answers, suspended
    WITH *, any(s IN nodes WHERE size(coalesce(s.doubted, [])) > 0) AS doubted
    // The totals of all clients that ever were must not go down: metrics count them.
    FOREACH (s IN CASE WHEN suspended THEN [] ELSE nodes END |
        MERGE (gone:DMCheckJob {name: 'client delete'})
        SET gone.buckets_assigned = coalesce(gone.buckets_assigned, 0) + coalesce(toIntegerOrNull(s.buckets_assigned), 0),
            gone.buckets_processed = coalesce(gone.buckets_processed, 0) + coalesce(toIntegerOrNull(s.buckets_processed), 0),
            gone.buckets_fault = coalesce(gone.buckets_fault, 0) + coalesce(toIntegerOrNull(s.buckets_fault), 0),
            gone.buckets_dead = coalesce(gone.buckets_dead, 0) + coalesce(toIntegerOrNull(s.buckets_dead), 0),
            gone.buckets_failed = coalesce(gone.buckets_failed, 0) + coalesce(toIntegerOrNull(s.buckets_failed), 0)
        DETACH DELETE s)
    FOREACH (x IN CASE WHEN suspended OR c IS NULL THEN [] ELSE [c] END |
        REMOVE x:DMCheckClient SET x:DMCheckFormerClient, x = {id: CASE WHEN doubted THEN -1
            ELSE -datetime().epochMillis END})
    RETURN answers
}
RETURN suspended, returned, answers
