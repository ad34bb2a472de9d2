// Which version the graph is of.
// Parameters: none.
// Columns: version (null: none yet, or it is being upgraded), upgrading (to which version; null: it is not), fresh
//   (whether it holds nothing but users).
// Repeating: reads only.
OPTIONAL MATCH (graph:DMCheckSchema {name: 'graph'})
RETURN graph.version AS version, graph.upgrading AS upgrading,
       NOT EXISTS { (:DMCheckClient) } AND NOT EXISTS { (:DMCheckBucket) } AND NOT EXISTS { (:DMCheckLease) } AS fresh
