// What time it is by the clock of the database.
// Parameters: none.
// Columns: now (ISO 8601).
// Repeating: reads only.
RETURN toString(datetime()) AS now
