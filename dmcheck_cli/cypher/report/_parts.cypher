       // The nodes and relationships of the paths.
       reduce(all = [], one IN collect([n IN nodes(p) | {
           id: elementId(n), kind: CASE WHEN n:User THEN 'user' WHEN n:DMCheckBucket THEN 'bucket' ELSE 'client' END,
           name: coalesce(toStringOrNull(n.screen_name), toStringOrNull(n.uuid)), client: toIntegerOrNull(n.id)
       }]) | all + one) AS nodes,
       reduce(all = [], one IN collect([r IN relationships(p) | {
           begins: elementId(startNode(r)), ends: elementId(endNode(r)), type: type(r), said: toStringOrNull(r.candm)
       }]) | all + one) AS links
