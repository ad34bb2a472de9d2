// Gives held buckets back unanswered: they wait again. Nothing is counted but those that `failed`: their COMMAND did.
// Parameters: client, buckets (a list of {bucket, lease, failed}), limits, schema.
// Columns: one row per bucket: outcome ('released', also if released before, 'unknown_bucket', 'not_owner',
//   'lease_lost'), returned (users). No row: the client is not active, or the graph has another version.
// Repeating: the lease's record keeps how it ended and how many users it returned, whoever holds the bucket now; what
//   ended before is not counted again.
// include: _graph
// include: _standing
SET s.last_access_time = datetime()
WITH c, s, items
UNWIND items AS item
WITH c, s, item.b AS b, item.l AS l, item.standing AS standing, coalesce(item.given.failed, false) AS failed
CALL (b, c, s, l, standing, failed) {
    WITH b, s, l, failed, 'released' AS how WHERE standing = 'newest' AND EXISTS { (b)-[:DMCHECKCLIENT]->(c) }
    FOREACH (x IN CASE WHEN failed THEN [s] ELSE [] END |
        SET x.buckets_failed = coalesce(toIntegerOrNull(x.buckets_failed), 0) + 1, l.failed = true)
    WITH b, how
    // include: _end_lease
    // include: _give_back
}
RETURN CASE WHEN standing = 'newest' OR l.how = 'released' THEN 'released'
           WHEN standing = 'answered' THEN 'lease_lost' ELSE standing END AS outcome, l.users AS returned
