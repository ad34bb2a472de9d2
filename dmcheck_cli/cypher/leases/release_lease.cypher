// Gives held buckets back unanswered: they wait again, and nothing is counted.
// Parameters: client, buckets (a list of {bucket, lease}), schema.
// Columns: one row per bucket: outcome ('released', also if released before, 'unknown_bucket', 'not_owner',
//   'lease_lost'), returned (users). No row: the client is not active, or the graph has another version.
// Repeating: the lease's record keeps how it ended and how many users it returned, whoever holds the bucket now.
// include: _graph
// include: _standing
SET s.last_access_time = datetime()
WITH c, items
UNWIND items AS item
WITH c, item.b AS b, item.l AS l, item.standing AS standing
CALL (b, c, standing) {
    WITH b, 'released' AS how WHERE standing = 'newest' AND EXISTS { (b)-[:DMCHECKCLIENT]->(c) }
    // include: _end_lease
    // include: _give_back
}
RETURN CASE WHEN standing = 'newest' OR l.how = 'released' THEN 'released'
           WHEN standing = 'answered' THEN 'lease_lost' ELSE standing END AS outcome, l.users AS returned
