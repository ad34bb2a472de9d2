// Waits until all indexes are filled.
// Parameters: seconds (the longest wait).
// Columns: none.
// Repeating: waits again.
CALL db.awaitIndexes($seconds)
