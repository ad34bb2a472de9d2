// How many buckets raise_starved would move now.
// Parameters: starved_seconds, prioritized_seconds (as in raise_starved), limits.
// Columns: raised.
// Repeating: reads only.
// include: _starved_buckets
RETURN count(b) AS raised
