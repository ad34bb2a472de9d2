// The indexes of the database, those behind constraints among them.
// Parameters: none.
// Columns: label, properties, unique.
// Repeating: reads only.
SHOW INDEXES YIELD labelsOrTypes, properties, owningConstraint, state
WHERE state = 'ONLINE' AND properties IS NOT NULL
RETURN labelsOrTypes[0] AS label, properties, owningConstraint IS NOT NULL AS unique
