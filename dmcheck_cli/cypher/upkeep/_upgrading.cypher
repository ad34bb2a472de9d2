MATCH (graph:DMCheckSchema {name: 'graph'}) WHERE $step IN [graph.upgrading, graph.version]
