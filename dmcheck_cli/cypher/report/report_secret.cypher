// The secret of the graph from which the pseudonyms of clients are made; the first that is given stays.
// Parameters: secret, schema.
// Columns: secret. No row: the graph has another version.
// Repeating: the second run finds the secret.
// include: _graph
MATCH (graph:DMCheckSchema {name: 'graph'})
SET graph.name = graph.name
WITH graph
FOREACH (x IN CASE WHEN graph.secret IS NULL THEN [graph] ELSE [] END | SET x.secret = $secret)
RETURN graph.secret AS secret
