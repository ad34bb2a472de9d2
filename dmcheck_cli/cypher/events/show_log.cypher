// What happened, newest first: leases that began, died and ended, refusals, and what became of clients.
// Parameters: client, user, bucket (null: any), since, until (ISO 8601), key (of what happened at `until`, only what comes
//   after this key in their order), slice (how many).
// Columns: at, key, event, client, bucket, lease, users, reason, count, said (numbers of DM, NON_DM and UNKNOWN).
// Repeating: reads only.
WITH $user IS NULL AND $bucket IS NULL AS all
// 1. The leases of the bucket, or those in which the user was answered for, and the one of the bucket that it is in.
CALL () {
    CALL () {
        MATCH (l:DMCheckLease {bucket: $bucket}) WHERE $user IS NULL
        RETURN l
        UNION
        MATCH (:User {screen_name: $user})<-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND|DM_PAST]-(c)
        MATCH (l:DMCheckLease) USING INDEX SEEK l:DMCheckLease(ended) WHERE l.ended = r.at
            AND coalesce(l.client, 0) = CASE WHEN c.id > 0 THEN c.id ELSE 0 END
        RETURN l
        UNION
        MATCH (:User {screen_name: $user})-[:INDMCHECKBUCKET]->(b)
        MATCH (l:DMCheckLease {id: b.newest})
        RETURN l
    }
    RETURN collect(CASE WHEN l.bucket = $bucket OR $bucket IS NULL THEN l END) AS named
}
// 2. What happened, each kind from its own index. A death is told when the lease was marked dead; only where that was not
//    recorded, when its bucket was released.
CALL (all, named) {
    WITH all WHERE all
    MATCH (n:DMCheckLease) WHERE datetime($since) <= n.ended <= datetime($until)
        AND ($client IS NULL OR n.client = $client) AND (n.how <> 'died' OR n.dead_datetime IS NULL)
    WITH n, n.ended AS at, 'ended ' + n.id AS key WHERE at < datetime($until) OR key < $key
    RETURN n, at, key ORDER BY at DESC, key DESC LIMIT $slice
    UNION ALL
    WITH all WHERE all
    MATCH (n:DMCheckLease) WHERE datetime($since) <= n.dead_datetime <= datetime($until)
        AND ($client IS NULL OR n.client = $client)
    WITH n, n.dead_datetime AS at, 'died ' + n.id AS key WHERE at < datetime($until) OR key < $key
    RETURN n, at, key ORDER BY at DESC, key DESC LIMIT $slice
    UNION ALL
    WITH all WHERE all
    MATCH (n:DMCheckLease) WHERE datetime($since) <= n.assigned_datetime <= datetime($until)
        AND ($client IS NULL OR n.client = $client)
    WITH n, n.assigned_datetime AS at, 'began ' + n.id AS key WHERE at < datetime($until) OR key < $key
    RETURN n, at, key ORDER BY at DESC, key DESC LIMIT $slice
    UNION ALL
    WITH all WHERE all
    MATCH (n:DMCheckEvent) WHERE datetime($since) <= n.at <= datetime($until)
        AND ($client IS NULL OR n.client = $client)
    WITH n, n.at AS at, elementId(n) AS key WHERE at < datetime($until) OR key < $key
    RETURN n, at, key ORDER BY at DESC, key DESC LIMIT $slice
    UNION ALL
    UNWIND named AS n
    UNWIND [[CASE WHEN n.how <> 'died' OR n.dead_datetime IS NULL THEN n.ended END, 'ended ' + n.id],
        [n.dead_datetime, 'died ' + n.id], [n.assigned_datetime, 'began ' + n.id]] AS one
    WITH n, one[0] AS at, one[1] AS key WHERE datetime($since) <= at <= datetime($until)
        AND ($client IS NULL OR n.client = $client) AND (at < datetime($until) OR key < $key)
    RETURN n, at, key ORDER BY at DESC, key DESC LIMIT $slice
}
WITH n, at, key ORDER BY at DESC, key DESC LIMIT $slice
WITH *, key STARTS WITH 'ended ' AS ended
RETURN toString(at) AS at, key, CASE WHEN n:DMCheckEvent THEN n.event
           WHEN key STARTS WITH 'began ' THEN 'leased' WHEN key STARTS WITH 'died ' THEN 'died'
           WHEN n.how = 'answered' THEN 'submitted' ELSE n.how END AS event,
       n.client AS client, n.bucket AS bucket, CASE WHEN n:DMCheckLease THEN n.id END AS lease,
       coalesce(n.users, COUNT { (b:DMCheckBucket {uuid: n.bucket})<-[:INDMCHECKBUCKET]-() WHERE b.newest = n.id }) AS users,
       n.reason AS reason, n.count AS count, CASE WHEN ended AND n.how = 'answered'
           THEN [n.dm, n.non_dm, n.unknown] END AS said
