// Nothing happens on a graph of another version.
MATCH (:DMCheckSchema {name: 'graph', version: $schema})
