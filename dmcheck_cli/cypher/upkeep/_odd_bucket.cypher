    // What schema apply repairs in a bucket `b`: `problem`.
    WITH b, COLLECT { MATCH (b)-[:DMCHECKCLIENT]->(c) RETURN c } AS holders
    WITH b, size(holders) AS holders, holders[0] AS c
    WITH b, CASE
        WHEN NOT b.uuid IS :: STRING NOT NULL THEN 'buckets whose uuid is no text'
        WHEN NOT b.priority IS :: INTEGER NOT NULL THEN 'buckets whose priority is no whole number'
        WHEN holders > 1 THEN 'buckets held by several clients'
        WHEN holders = 1 AND NOT coalesce(c:DMCheckClient AND c.state = 'ACTIVE' AND c.id IS :: INTEGER NOT NULL, false)
            THEN 'buckets held by a client that is not active'
        WHEN holders = 1 AND b.place IS NOT NULL THEN 'buckets held, and in line'
        WHEN holders = 1 AND NOT EXISTS {
            MATCH (l:DMCheckLease {id: b.newest}) WHERE l.client = c.id AND l.bucket = b.uuid AND l.digest IS NULL
        } THEN 'buckets held under no lease on record'
        // Jobs put the users of a spent one into smaller ones.
        WHEN holders = 0 AND NOT b.place IS :: FLOAT NOT NULL AND NOT coalesce(
    // include: _spent
            , false) THEN 'buckets neither held nor in line'
        WHEN holders = 0 AND NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-() } THEN 'buckets that wait without a user'
        END AS problem
    WHERE problem IS NOT NULL
