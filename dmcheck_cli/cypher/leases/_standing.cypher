// The client `c` with its counters `s`, and the standing of each lease in `$buckets`: `items`, a list of maps: given
// (the bucket and the lease, as named), b (the bucket, locked; null if deleted), l (the lease's record, if it is this
// client's) and standing: 'newest' (it may be answered), 'answered', or the reason for a refusal.
// include: _active_client
CALL () {
    UNWIND $buckets AS given
    MATCH (b:DMCheckBucket {uuid: given.bucket})
    WITH b ORDER BY b.uuid
    REMOVE b.lock
}
CALL (c) {
    UNWIND $buckets AS given
    OPTIONAL MATCH (b:DMCheckBucket {uuid: given.bucket})
    OPTIONAL MATCH (l:DMCheckLease {id: given.lease, bucket: given.bucket, client: $client})
    RETURN collect({given: given, b: b, l: l, standing: CASE
        WHEN l IS NULL AND EXISTS { (:DMCheckLease {id: given.lease, bucket: given.bucket}) }
            THEN 'not_owner'
        WHEN l.digest IS NOT NULL THEN 'answered'
        WHEN b.newest = l.id THEN 'newest'
        WHEN b IS NULL AND NOT EXISTS {
            (x:DMCheckLease {bucket: given.bucket}) WHERE x.digest IS NOT NULL } THEN 'unknown_bucket'
        ELSE 'lease_lost' END}) AS items
}
