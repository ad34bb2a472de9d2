    // What schema apply repairs in a client `c`: `problem`. `held` is a separate column because an inline COUNT is
    // compared in 32 bits, where a larger counter is an error.
    WITH c, COLLECT { MATCH (c)-[:STATS]->(s:DMCheckClientStats) RETURN s } AS nodes
    WITH c, size(nodes) AS nodes, nodes[0] AS s, COUNT { (c)<-[:DMCHECKCLIENT]-() } AS held
    WITH c, CASE
        WHEN c.id =~ '[0-9]{1,19}' AND toIntegerOrNull(c.id) > 0
            AND NOT EXISTS { (:DMCheckClient {id: toIntegerOrNull(c.id)}) } THEN 'clients whose id is stored as a text'
        WHEN nodes <> 1 THEN 'clients with no counters, or with several nodes of them'
        WHEN NOT all(n IN [s.buckets_assigned, s.buckets_processed, s.buckets_fault, s.buckets_dead,
                coalesce(s.allowance, 0), coalesce(s.faults_judged, 0), coalesce(s.buckets_failed, 0)]
            WHERE n IS :: INTEGER NOT NULL AND -1e15 < n < 1e15)
            THEN 'clients with a counter that is missing or no whole number'
        WHEN s.buckets_fault < 0 OR s.buckets_dead < 0 OR s.buckets_processed < 0
            OR s.buckets_processed > s.buckets_assigned OR s.buckets_dead > s.buckets_assigned
            OR held > s.buckets_assigned
            THEN 'clients whose counters contradict each other' END AS problem
    WHERE problem IS NOT NULL
