// Drops an index that conflicts with ours.
// Parameters: name.
// Columns: none.
// Repeating: does nothing; an index that belongs to a constraint is never dropped.
DROP INDEX $name IF EXISTS
