// Begins or goes on with one step of an upgrade: until it has finished, the graph is of no version, and no statement
// that checks the version does anything.
// `lock` is there so that the database knows the name, without which REMOVE would not lock.
// Parameters: step (the version that it leads to).
// Columns: begun. No row: the graph is not one version behind.
// Repeating: what has begun goes on.
MERGE (graph:DMCheckSchema {name: 'graph'})
SET graph.name = graph.name
WITH collect(graph) AS locked
UNWIND locked AS graph
WITH graph WHERE graph.upgrading = $step OR graph.upgrading IS NULL AND coalesce(graph.version, 0) = $step - 1
SET graph.upgrading = $step, graph.lock = true
REMOVE graph.version
RETURN true AS begun
