    // Waiting buckets that no client may take any more: all that are `able` answered for its users.
    MATCH (b:DMCheckBucket) WHERE b.heard IS NOT NULL AND b.place IS NOT NULL
        AND NOT any(x IN able WHERE NOT coalesce(x[0] IN b.heard OR x[1] IN b.sources, false))
