// The indexes of the database, including those behind constraints but not the two token lookup indexes.
// Parameters: none.
// Columns: name, type, entity, labels, properties, owner (the constraint), state, percent, failure.
// Repeating: reads only.
SHOW INDEXES YIELD name, type, entityType, labelsOrTypes, properties, owningConstraint, state, populationPercent,
    failureMessage
WHERE type <> 'LOOKUP'
RETURN name, type, entityType AS entity, labelsOrTypes AS labels, properties, owningConstraint AS owner, state,
    populationPercent AS percent, failureMessage AS failure
