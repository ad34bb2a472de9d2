// How many buckets raise_starved would move now.
// Parameters: starved_seconds, front.
// Columns: raised.
// Repeating: reads only.
// include: _starved_buckets
RETURN count(b) AS raised
