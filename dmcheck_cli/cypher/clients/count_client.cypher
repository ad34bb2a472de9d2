// What deleting a client would do.
// Parameters: id (a client's).
// Columns: returned (buckets that it holds), answers (in force).
// Repeating: reads only.
OPTIONAL MATCH (c:DMCheckClient {id: $id})
RETURN COUNT { (c)<-[:DMCHECKCLIENT]-() } AS returned, COUNT { (c)-[:DM_YES|DM_NO|DM_UNKNOWN]->() } AS answers
