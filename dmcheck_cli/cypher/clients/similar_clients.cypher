// Other clients that may be the same person: of the same name, or that would have messages come from the same account.
// Parameters: id, screen_name.
// Columns: client, same_name, same_sender.
// Repeating: reads only.
OPTIONAL MATCH (own:DMCheckClient {id: $id})
WITH own.dm_from_id AS sender
MATCH (c:DMCheckClient) WHERE c.id <> $id
WITH c, coalesce(toLower(toStringOrNull(c.screen_name)) = toLower($screen_name), false) AS same_name,
     coalesce(c.dm_from_id = sender, false) AS same_sender
WHERE same_name OR same_sender
RETURN c.id AS client, same_name, same_sender ORDER BY client LIMIT 20
