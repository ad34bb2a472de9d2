// Gives a client another screen name; it keeps its id, counters and leases.
// Parameters: id, screen_name, limits, schema.
// Columns: client (a map). No row: no such client, or the graph has another version.
// Repeating: sets the same name.
// include: _graph
MATCH (c:DMCheckClient {id: $id})
REMOVE c.lock
// It may have been deleted meanwhile: then nothing may name it again.
WITH c WHERE c:DMCheckClient
SET c.screen_name = $screen_name
RETURN
       // include: _client
