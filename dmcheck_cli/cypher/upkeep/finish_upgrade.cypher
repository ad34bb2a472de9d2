// Finishes one step of an upgrade: sets the graph's version.
// Parameters: step (the version).
// Columns: finished. No row: another process has finished it.
// Repeating: the second run finds no upgrade in progress.
MATCH (graph:DMCheckSchema {name: 'graph'})
SET graph.name = graph.name
WITH collect(graph) AS locked
UNWIND locked AS graph
WITH graph WHERE graph.upgrading = $step
SET graph.version = $step
REMOVE graph.upgrading
RETURN true AS finished
