// Checks the users in the next buckets, by uuid: names that cannot be looked up, and second opinions that could be asked
// of who was asked before.
// Parameters: after (a uuid; '' for the first), slice (how many buckets to read).
// Columns: last (the uuid of the last one; null when none), and per kind a list of the count of users and the uuid of the
//   bucket of one: nameless, unheard.
// Repeating: reads only.
MATCH (b:DMCheckBucket) WHERE b.uuid > $after
WITH b ORDER BY b.uuid LIMIT $slice
OPTIONAL MATCH (b)<-[m:INDMCHECKBUCKET]-(u)
        // include: _odd_member
WITH b, count(CASE WHEN nameless AND u IS NOT NULL THEN 1 END) AS nameless, count(CASE WHEN unheard THEN 1 END) AS unheard
RETURN max(b.uuid) AS last,
       [coalesce(sum(nameless), 0), min(CASE WHEN nameless > 0 THEN b.uuid END)] AS nameless,
       [coalesce(sum(unheard), 0), min(CASE WHEN unheard > 0 THEN b.uuid END)] AS unheard
