// Begins or resumes one step of an upgrade: until it finishes, the graph has no version, and statements that check the
// version do nothing.
// Sets `lock` so that the database knows the property name; without it, REMOVE would not lock.
// Parameters: step (the version that it leads to).
// Columns: begun. No row: the graph is not one version behind.
// Repeating: a step in progress is resumed.
MERGE (graph:DMCheckSchema {name: 'graph'})
SET graph.name = graph.name
WITH collect(graph) AS locked
UNWIND locked AS graph
WITH graph WHERE graph.upgrading = $step OR graph.upgrading IS NULL AND coalesce(graph.version, 0) = $step - 1
SET graph.upgrading = $step, graph.lock = true
REMOVE graph.version
RETURN true AS begun
