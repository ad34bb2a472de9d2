// Makes the next users forget that a client was the first to answer for them; it is about to be deleted.
// Parameters: id, slice (how many), schema.
// Columns: forgotten (users). No row: the graph has another version.
// Repeating: a user who has forgotten is not found again.
// include: _graph
CALL () {
    UNWIND ['dm', 'check', 'conflict', 'unsure', 'contained', 'look'] AS needs
    MATCH (u:User {dmcheck_needs: needs, dmcheck_asked: $id})
    WITH u LIMIT $slice
    SET u.dmcheck_asked = 0
    RETURN count(u) AS forgotten
}
RETURN forgotten
