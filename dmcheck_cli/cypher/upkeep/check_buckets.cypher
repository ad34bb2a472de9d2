// Checks all buckets for broken invariants that schema apply repairs.
// Parameters: limits.
// Columns: one row per kind: problem (its name), found (how many), example.
// Repeating: reads only.
MATCH (b:DMCheckBucket)
    // include: _odd_bucket
RETURN problem, count(b) AS found, min(toStringOrNull(b.uuid)) AS example
