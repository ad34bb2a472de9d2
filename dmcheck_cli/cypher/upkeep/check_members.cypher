// Checks the users in the next buckets, by uuid, for names that cannot be looked up.
// Parameters: after (a uuid; '' for the first), slice (how many buckets to read).
// Columns: last (the uuid of the last one; null when none), found (how many users), example (the uuid of their bucket).
// Repeating: reads only.
MATCH (b:DMCheckBucket) WHERE b.uuid > $after
WITH b ORDER BY b.uuid LIMIT $slice
OPTIONAL MATCH (b)<-[:INDMCHECKBUCKET]-(u)
        // include: _odd_member
WITH b, count(CASE WHEN nameless AND u IS NOT NULL THEN 1 END) AS odd
RETURN max(b.uuid) AS last, coalesce(sum(odd), 0) AS found, min(CASE WHEN odd > 0 THEN b.uuid END) AS example
