// Notes how many users have no name in lower case after a look through all of them: their names are no text.
// Parameters: schema.
// Columns: unnamed. No row: the graph has another version.
// Repeating: notes the same number again.
// include: _graph
MERGE (lock:DMCheckJob {name: 'users add'})
SET lock.name = lock.name
WITH lock
CALL () { MATCH (u:User) RETURN count(u) AS users }
CALL () { MATCH (n:DMCheckName) RETURN count(n) AS named }
SET lock.unnamed = users - named
RETURN users - named AS unnamed
