// Deactivates a client and puts the buckets that it holds back in line.
// Parameters: id, screen_name.
// Columns: outcome ('unregistered', 'wrong_details'), client (a map), returned (buckets). No row: no such client.
// Repeating: the second run finds the client inactive and nothing held; returned is 0.
MATCH (c:DMCheckClient {id: $id})
SET c.id = c.id
WITH c, c.screen_name <> $screen_name AS wrong
FOREACH (x IN CASE WHEN wrong OR c.state = 'DEACTIVE' THEN [] ELSE [c] END |
    SET x.state = 'DEACTIVE', x.edit_datetime = datetime()
)
WITH c, wrong
CALL (c, wrong) {
    WITH c WHERE NOT wrong
    MATCH (c)<-[:DMCHECKCLIENT]-(held:DMCheckBucket)
    WITH held ORDER BY held.uuid
    SET held.uuid = held.uuid
    WITH collect(held) AS locked
    UNWIND locked AS b
    // include: _give_back
    RETURN count(b) AS returned
}
RETURN CASE WHEN wrong THEN 'wrong_details' ELSE 'unregistered' END AS outcome, returned,
       // include: _client
