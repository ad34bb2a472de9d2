// Finishes one step of an upgrade: the graph is of its version.
// Parameters: step (the version).
// Columns: finished. No row: somebody else has finished it.
// Repeating: the second run finds nothing that is being upgraded.
MATCH (graph:DMCheckSchema {name: 'graph'})
SET graph.name = graph.name
WITH collect(graph) AS locked
UNWIND locked AS graph
WITH graph WHERE graph.upgrading = $step
SET graph.version = $step
REMOVE graph.upgrading
RETURN true AS finished
