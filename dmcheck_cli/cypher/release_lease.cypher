// Gives a held bucket back, unanswered: it waits again, and nothing is counted.
// Parameters: client, bucket, lease.
// Columns: outcome ('held', 'unknown_bucket', 'not_owner', 'lease_lost', 'released' when it was given back before),
//   returned (users). No row: the client is not active.
// Repeating: the second run finds the lease the newest of a bucket that nobody holds.
// include: _own_lease
WITH b, outcome, COUNT { (b)<-[:INDMCHECKBUCKET]-() } AS returned
CALL (b, outcome) {
    WITH b WHERE outcome = 'held'
    // include: _give_back
}
RETURN CASE WHEN outcome = 'lease_lost' AND b.lease = $lease THEN 'released' ELSE outcome END AS outcome, returned
