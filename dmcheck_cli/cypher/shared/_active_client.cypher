// The client `c`, locked and active, with its counters `s`. The lock serializes this client's commands.
MATCH (c:DMCheckClient {id: $client})
REMOVE c.lock
WITH c, [(c)-[:STATS]->(s) | s][0] AS s
    WHERE c.state = 'ACTIVE' AND c.suspended IS NULL AND s IS NOT NULL
