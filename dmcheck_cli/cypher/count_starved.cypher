// How many buckets raise_starved would move now.
// Parameters: as in raise_starved, without batch.
// Columns: raised.
// Repeating: reads only.
// include: _starved_buckets
RETURN count(b) AS raised
