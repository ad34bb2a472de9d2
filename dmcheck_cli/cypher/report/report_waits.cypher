// How long the waiting buckets have waited.
// Parameters: limits.
// Columns: urgent (counts as prioritized), hours (begun ones; at most 48), buckets.
// Repeating: reads only.
MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL AND b.edit_datetime IS :: ZONED DATETIME NOT NULL
WITH coalesce(b.raised_from, b.priority) < $limits.default_priority AS urgent,
     (datetime().epochSeconds - b.edit_datetime.epochSeconds) / 3600 AS hours
RETURN coalesce(urgent, false) AS urgent, CASE WHEN hours < 0 THEN 0 WHEN hours > 48 THEN 48 ELSE hours END AS hours,
       count(*) AS buckets
ORDER BY urgent, hours
