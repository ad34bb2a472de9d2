MATCH (graph:DMCheckSchema {name: 'graph'}) WHERE graph.upgrading = $step OR graph.version >= $step
