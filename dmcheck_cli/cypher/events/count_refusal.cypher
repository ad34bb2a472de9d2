// Counts a refusal for the activity log: one node for each client, reason and hour. Ids that no client has share one.
// Parameters: client, reason, count, repeated (an earlier try may have been committed: nothing is counted), schema.
// Columns: counted (within the hour). No row: repeated, or the graph has another version.
// Repeating: counts again, unless it is told that it is a repetition.
// include: _graph
OPTIONAL MATCH (c:DMCheckClient {id: $client})
WITH c.id AS client, datetime({timezone: 'Z'}) AS now WHERE NOT $repeated
MERGE (e:DMCheckEvent {key: coalesce(toString(client), 'unknown') + '/' + $reason + '/' + left(toString(now), 13)})
ON CREATE SET e.event = 'refused', e.client = client, e.reason = $reason, e.users = 0
REMOVE e.lock
WITH e, now
SET e.at = now, e.count = coalesce(e.count, 0) + $count
RETURN e.count AS counted
