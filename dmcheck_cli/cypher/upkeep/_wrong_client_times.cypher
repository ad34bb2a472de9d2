    // Times of a client `c` and its counters that are in the future, or not times.
    WITH c, [c] + COLLECT { MATCH (c)-[:STATS]->(s) RETURN s } AS nodes
    UNWIND nodes AS n
    UNWIND ['create_datetime', 'edit_datetime', 'last_access_time', 'judged_datetime', 'next_fetch'] AS key
    WITH c, n, key WHERE n[key] IS NOT NULL
        AND NOT coalesce(n[key] <= datetime() + duration({seconds: $limits.max_skew_seconds}), false)
