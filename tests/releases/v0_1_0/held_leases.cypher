MATCH (c:DMCheckClient {id: $client}) WHERE c.state = 'ACTIVE'
OPTIONAL MATCH (c)<-[:DMCHECKCLIENT]-(b:DMCheckBucket)
WITH b ORDER BY b.assigned_datetime, b.uuid
WITH b, COLLECT {
    MATCH (b)<-[:INDMCHECKBUCKET]-(u)
    WHERE u.screen_name =~ '[A-Za-z0-9_]{1,20}'
    RETURN u
} AS users
RETURN toStringOrNull(b.uuid) AS bucket, toStringOrNull(b.lease) AS lease, toIntegerOrNull(b.priority) AS priority,
       toStringOrNull(b.expires) AS expires, [u IN users | u.screen_name] AS names, [u IN users |
           CASE WHEN u.id IS :: INTEGER AND u.id > 0 THEN u.id END
       ] AS ids
