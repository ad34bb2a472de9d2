// The part of the graph around a client: what it holds, and users whom it answered for.
// Parameters: client (an id).
// Columns: nodes (maps of id, kind, name, client; some come again), links (maps of begins, ends, type, said; as nodes),
//   near (how many buckets it holds, users in them and opinions of it there are). No nodes: no such client.
// Repeating: reads only.
// include: _around_client
WITH collect(p) AS paths
UNWIND CASE paths WHEN [] THEN [null] ELSE paths END AS p
RETURN COUNT { (:DMCheckClient {id: $client})<-[:DMCHECKCLIENT]-() }
           + COUNT { (:DMCheckClient {id: $client})<-[:DMCHECKCLIENT]-()<-[:INDMCHECKBUCKET]-() }
           + COUNT { (:DMCheckClient {id: $client})-[:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]->() } AS near,
       // include: _parts
