// Looks at all buckets for what must never be, and what schema apply puts right.
// Parameters: none.
// Columns: one row a kind: problem (its name), found (how many), example.
// Repeating: reads only.
MATCH (b:DMCheckBucket)
    // include: _odd_bucket
RETURN problem, count(b) AS found, min(toStringOrNull(b.uuid)) AS example
