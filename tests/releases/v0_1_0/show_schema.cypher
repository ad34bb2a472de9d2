SHOW INDEXES YIELD name, type, entityType, labelsOrTypes, properties, owningConstraint, state, populationPercent,
    failureMessage
WHERE type <> 'LOOKUP'
RETURN name, type, entityType AS entity, labelsOrTypes AS labels, properties, owningConstraint AS owner, state,
    populationPercent AS percent, failureMessage AS failure
