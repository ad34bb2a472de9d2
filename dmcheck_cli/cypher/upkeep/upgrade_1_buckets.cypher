// Renames the properties by which release 0.1.0 draws buckets (`ready`) and finds their newest lease (`lease`), so that
// it neither hands these buckets out nor puts them back.
// Parameters: step (1), limits.
// Columns: upgraded (buckets). No row: the graph has another version.
// Repeating: a renamed bucket is not found again.
// include: _upgrading
CALL () {
    MATCH (old:DMCheckBucket) WHERE old.ready IS NOT NULL OR old.lease IS NOT NULL
    WITH old LIMIT $limits.batch_upgraded
    WITH old ORDER BY old.uuid
    REMOVE old.lock
    RETURN collect(old) AS locked
}
CALL (locked) {
    UNWIND locked AS b
    WITH b, EXISTS { (b)-[:DMCHECKCLIENT]->() } AS held WHERE b.ready IS NOT NULL OR b.lease IS NOT NULL
    OPTIONAL MATCH (l:DMCheckLease {id: coalesce(b.lease, b.newest)})
    FOREACH (x IN CASE WHEN held AND l IS NOT NULL THEN [l] ELSE [] END | SET x.unjudged = true)
    // A bucket that 0.1.0 put back after the upgrade.
    FOREACH (x IN CASE WHEN NOT held AND l.unjudged AND l.ended IS NULL THEN [l] ELSE [] END |
        SET x.ended = datetime(), x.how = 'returned', x.users = COUNT { (b)<-[:INDMCHECKBUCKET]-() })
    SET b += {place: CASE WHEN NOT held THEN coalesce(b.place, b.ready) END, ready: null,
        newest: coalesce(b.lease, b.newest), last_client: coalesce(l.client, b.last_client), lease: null}
    RETURN count(b) AS upgraded
}
RETURN upgraded
