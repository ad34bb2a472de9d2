// Deactivates a client and puts the buckets it holds back in line. A suspended one stays suspended.
// Parameters: id, screen_name, limits, schema.
// Columns: outcome ('unregistered', 'wrong_details'), client (a map), returned (buckets). No row: no such client,
//   or the graph has another version.
// Repeating: the second run finds the client inactive and nothing held; returned is 0.
// include: _graph
MATCH (c:DMCheckClient {id: $id})
REMOVE c.lock
WITH c, toLower(toStringOrNull(c.screen_name)) <> toLower($screen_name) AS wrong WHERE c:DMCheckClient
FOREACH (x IN CASE WHEN wrong OR c.state = 'DEACTIVE' THEN [] ELSE [c] END |
    SET x.state = 'DEACTIVE', x.edit_datetime = datetime()
    CREATE (:DMCheckEvent {at: datetime(), event: 'unregistered', client: $id, users: 0})
)
WITH c, wrong
CALL (c, wrong) {
    WITH c WHERE NOT wrong
    // include: _return_held
}
RETURN CASE WHEN wrong THEN 'wrong_details' ELSE 'unregistered' END AS outcome, returned,
       // include: _client
