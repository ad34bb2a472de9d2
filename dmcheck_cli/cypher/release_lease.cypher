// Gives a held bucket back, unanswered: it waits again, and nothing is counted.
// Parameters: client, bucket, lease.
// Columns: outcome ('held', 'unknown_bucket', 'not_owner', 'lease_lost', 'released' when it was given back before),
//   returned (users). No row: the client is not active.
// Repeating: the lease remembers how many users waited again with its bucket, whoever has that bucket by now.
// include: _own_lease
WITH l, b, outcome, COUNT { (b)<-[:INDMCHECKBUCKET]-() } AS returned
CALL (l, b, outcome, returned) {
    WITH l, b, returned WHERE outcome = 'held'
    SET l.given_back = returned
    WITH b
    // include: _give_back
}
RETURN CASE WHEN outcome = 'lease_lost' AND (b.lease = $lease OR l.given_back IS NOT NULL) THEN 'released'
    ELSE outcome END AS outcome, coalesce(l.given_back, returned) AS returned
