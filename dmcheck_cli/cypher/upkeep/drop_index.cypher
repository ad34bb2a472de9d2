// Drops an index that is in the way of ours.
// Parameters: name.
// Columns: none.
// Repeating: drops nothing; what belongs to a constraint is never dropped.
DROP INDEX $name IF EXISTS
