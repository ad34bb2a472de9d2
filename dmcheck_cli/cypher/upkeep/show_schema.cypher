// The indexes of the database, those behind constraints among them; without the two that look labels and types up.
// Parameters: none.
// Columns: name, type, entity, labels, properties, owner (the constraint), state, percent, failure.
// Repeating: reads only.
SHOW INDEXES YIELD name, type, entityType, labelsOrTypes, properties, owningConstraint, state, populationPercent,
    failureMessage
WHERE type <> 'LOOKUP'
RETURN name, type, entityType AS entity, labelsOrTypes AS labels, properties, owningConstraint AS owner, state,
    populationPercent AS percent, failureMessage AS failure
