    // What becomes of the opinion `r` that the client `c` has on the user `u`: `becomes`: 'kept', 'alone' (nobody else
    // answered), 'other' (the first of `others` takes its place) or 'second'. `said`: its answer.
    MATCH (c)-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]->(u) WHERE $since IS NULL OR r.at >= datetime($since)
    WITH *, CASE type(r) WHEN 'DM_YES' THEN 'DM' WHEN 'DM_NO' THEN 'NON_DM' WHEN 'DM_UNKNOWN' THEN 'UNKNOWN'
        ELSE r.candm END AS said, COLLECT {
            MATCH (u)<-[o:DM_SECOND]-(x) WHERE x <> c
            WITH o, COUNT { (u)<-[p:DM_SECOND]-(y) WHERE y <> c AND p.candm = o.candm } AS votes
            RETURN o ORDER BY votes DESC, coalesce(o.at, datetime({epochSeconds: 0})) DESC
        } AS others
    WITH *, CASE WHEN type(r) = 'DM_SECOND' THEN 'second' WHEN others = [] THEN 'alone'
        WHEN any(o IN others WHERE o.candm = said) THEN 'kept' ELSE 'other' END AS becomes
