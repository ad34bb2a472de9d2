// How many buckets raise_starved would move now.
// Parameters: starved_seconds, prioritized_seconds, default_priority, step (as in raise_starved).
// Columns: raised.
// Repeating: reads only.
// include: _starved_buckets
RETURN count(b) AS raised
