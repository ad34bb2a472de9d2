// Puts the users of spent buckets into smaller ones, and sets aside a user who was alone in a smaller one.
// Parameters: buckets (their uuids; null: a batch of all that are spent), limits, schema.
// Columns: split (buckets). No row: the graph has another version.
// Repeating: a bucket that was split is deleted.
// include: _graph
CALL () {
    CALL () {
        MATCH (b:DMCheckBucket) WHERE b.uuid IN $buckets
        RETURN b
        UNION
        MATCH (b:DMCheckBucket) WHERE $buckets IS NULL AND
    // include: _spent
        RETURN b
    }
    WITH b ORDER BY b.uuid LIMIT $limits.batch_leases
    REMOVE b.lock
    RETURN collect(b) AS locked
}
CALL (locked) {
    UNWIND locked AS b
    WITH b WHERE b.place IS NULL AND NOT EXISTS { (b)-[:DMCHECKCLIENT]->() } AND
    // include: _spent
    MATCH (u)-[m:INDMCHECKBUCKET]->(b)
    WITH b, collect({u: u, second: m.second}) AS users
    WITH *, b.split AND size(users) = 1 AS alone, toInteger(ceil(size(users) / $limits.split)) AS size
    FOREACH (u IN CASE WHEN alone THEN [users[0].u] ELSE [] END |
        SET u.dmcheck_aside = datetime())
    FOREACH (i IN CASE WHEN alone THEN [] ELSE range(0, size(users) - 1, size) END |
        CREATE (n:DMCheckBucket {uuid: replace(randomUUID(), '-', ''), priority: b.priority, place: rand(),
            raised_from: b.raised_from, edit_datetime: b.edit_datetime, split: true, failed_by: b.failed_by,
            heard: b.heard, sources: b.sources})
        FOREACH (x IN users[i..i + size] |
            FOREACH (u IN [x.u] | CREATE (u)-[:INDMCHECKBUCKET {second: x.second}]->(n))))
    DETACH DELETE b
    RETURN count(b) AS split
}
RETURN split
