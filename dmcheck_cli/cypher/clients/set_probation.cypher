// Leaves a client without a record at one lease, until judge_clients finds that it has one.
// Parameters: id, schema.
// Columns: set (false: it has a record). No row: no such client, or the graph has another version.
// Repeating: sets the same again.
// include: _graph
MATCH (c:DMCheckClient {id: $id})
REMOVE c.lock
WITH c
MATCH (c)-[:STATS]->(s:DMCheckClientStats)
FOREACH (x IN CASE WHEN coalesce(s.record, false) THEN [] ELSE [s] END | SET x.probation = true, x.allowance = 1)
RETURN coalesce(s.probation, false) AS set
