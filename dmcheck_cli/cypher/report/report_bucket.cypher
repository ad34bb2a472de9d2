// The part of the graph around a bucket: who holds it, its users, and who answered for them.
// Parameters: bucket (its uuid).
// Columns: nodes (maps of id, kind, name, client; some come again), links (maps of begins, ends, type, said; as nodes),
//   near (how many holders, users and opinions on these there are). No nodes: no such bucket.
// Repeating: reads only.
// include: _around_bucket
WITH collect(p) AS paths
UNWIND CASE paths WHEN [] THEN [null] ELSE paths END AS p
RETURN COUNT { (:DMCheckBucket {uuid: $bucket})-[:DMCHECKCLIENT]->() }
           + COUNT { (:DMCheckBucket {uuid: $bucket})<-[:INDMCHECKBUCKET]-() }
           + COUNT { (:DMCheckBucket {uuid: $bucket})<-[:INDMCHECKBUCKET]-()<-[:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]-() }
           AS near,
       // include: _parts
