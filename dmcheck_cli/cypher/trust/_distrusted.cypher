    // What becomes of the opinion `r` that the client `c` has on the user `u`: `becomes`: 'kept', 'alone' (nobody else
    // answered), 'other' (the first of `others` takes its place) or 'second'. `said`: its answer. What a client said while
    // it was contained confirms nothing.
    MATCH (c)-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]->(u) WHERE $since IS NULL OR r.at >= datetime($since)
    WITH *, CASE type(r) WHEN 'DM_YES' THEN 'DM' WHEN 'DM_NO' THEN 'NON_DM' WHEN 'DM_UNKNOWN' THEN 'UNKNOWN'
        ELSE r.candm END AS said, COLLECT {
            MATCH (u)<-[o:DM_SECOND]-(x) WHERE x <> c
            WITH o, CASE x.id WHEN -1 THEN true ELSE size([d IN coalesce(COLLECT { MATCH (x)-[:STATS]->(s) RETURN s.doubted }[0], [])
                WHERE d <= coalesce(o.at.epochMillis, 0) / 1000.0]) % 2 = 1 END AS doubted
            WITH collect([o, doubted]) AS all
            UNWIND all AS one
            RETURN one ORDER BY one[1], size([p IN all WHERE p[0].candm = one[0].candm AND NOT p[1]]) DESC,
                coalesce(one[0].at, datetime({epochSeconds: 0})) DESC
        } AS others
    WITH *, CASE WHEN type(r) = 'DM_SECOND' THEN 'second' WHEN others = [] THEN 'alone'
        WHEN any(o IN others WHERE o[0].candm = said AND NOT o[1]) THEN 'kept' ELSE 'other' END AS becomes
