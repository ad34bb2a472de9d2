// Finds times in the future, and values stored as times that are not times.
// Parameters: limits.
// Columns: one row per kind: problem (its name), found (how many), example.
// Repeating: reads only.
CALL () {
    MATCH (b:DMCheckBucket)
    // include: _wrong_bucket_times
    RETURN 'buckets with a time that lies in the future, or that is none' AS problem, count(b) AS found,
           min(toStringOrNull(b.uuid)) AS example
    UNION ALL
    MATCH (c:DMCheckClient)
    // include: _wrong_client_times
    RETURN 'clients with a time that lies in the future, or that is none' AS problem, count(DISTINCT c) AS found,
           min(toStringOrNull(c.id)) AS example
}
WITH problem, found, example WHERE found > 0
RETURN problem, found, example
