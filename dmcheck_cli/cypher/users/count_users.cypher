// How many users there are.
// Parameters: none.
// Columns: users.
// Repeating: reads only, from the count store.
MATCH (u:User) RETURN count(u) AS users
