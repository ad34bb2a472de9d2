// Which version of Neo4j this is.
// Parameters: none.
// Columns: version.
// Repeating: reads only.
CALL dbms.components() YIELD name, versions
WITH name, versions WHERE name = 'Neo4j Kernel'
RETURN versions[0] AS version
