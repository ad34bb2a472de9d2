// What deleting a client would do.
// Parameters: id (a client's).
// Columns: suspended (then it is not deleted), returned (buckets that it holds), answers (in force).
// Repeating: reads only.
OPTIONAL MATCH (c:DMCheckClient {id: $id})
RETURN c.suspended IS NOT NULL AS suspended, COUNT { (c)<-[:DMCHECKCLIENT]-() } AS returned,
       COUNT { (c)-[:DM_YES|DM_NO|DM_UNKNOWN]->() } AS answers
