// The version of the graph.
// Parameters: none.
// Columns: version (null: none yet, or an upgrade is in progress), upgrading (to which version; null: no upgrade),
//   fresh (whether it holds nothing but users).
// Repeating: reads only.
OPTIONAL MATCH (graph:DMCheckSchema {name: 'graph'})
RETURN graph.version AS version, graph.upgrading AS upgrading,
       NOT EXISTS { (:DMCheckClient|DMCheckBucket|DMCheckLease|DMCheckJob) }
       AND NOT EXISTS { ()-[:DM_YES|DM_NO|DM_UNKNOWN]->() } AS fresh
