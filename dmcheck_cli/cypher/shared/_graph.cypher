// Does nothing if the graph has another version.
MATCH (:DMCheckSchema {name: 'graph', version: $schema})
