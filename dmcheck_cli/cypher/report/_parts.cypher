       // The nodes and relationships of the paths.
       reduce(joined = [], one IN collect([n IN nodes(p) | {
           id: elementId(n), kind: CASE WHEN n:User THEN 'user' WHEN n:DMCheckBucket THEN 'bucket' ELSE 'client' END,
           name: coalesce(toStringOrNull(n.screen_name), toStringOrNull(n.uuid)), client: toIntegerOrNull(n.id)
       }]) | joined + one) AS nodes,
       reduce(joined = [], one IN collect([r IN relationships(p) | {
           begins: elementId(startNode(r)), ends: elementId(endNode(r)), type: type(r), said: toStringOrNull(r.candm)
       }]) | joined + one) AS links
