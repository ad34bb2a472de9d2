// How many users there are, and how many of them have no name in lower case.
// Parameters: none.
// Columns: users, unnamed (those that came since the last look through all, or were found to have no name that is text).
// Repeating: reads only, from the count store.
CALL () { MATCH (u:User) RETURN count(u) AS users }
CALL () { MATCH (n:DMCheckName) RETURN count(n) AS named }
OPTIONAL MATCH (lock:DMCheckJob {name: 'users add'})
RETURN users, users - named - coalesce(lock.unnamed, 0) AS unnamed
