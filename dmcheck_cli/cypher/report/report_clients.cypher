// How fast each client answered lately.
// Parameters: days (how far back).
// Columns: client, leases (answered), answers, seconds (from the beginnings of these leases to their ends, added up).
// Repeating: reads only.
MATCH (l:DMCheckLease) WHERE l.ended > datetime() - duration({days: $days}) AND l.ended <= datetime()
    AND l.how = 'answered' AND l.client IS :: INTEGER NOT NULL AND l.assigned_datetime IS :: ZONED DATETIME NOT NULL
RETURN l.client AS client, count(l) AS leases, sum(coalesce(toIntegerOrNull(l.dm) + toIntegerOrNull(l.non_dm)
           + toIntegerOrNull(l.unknown), 0)) AS answers,
       sum((l.ended.epochMillis - l.assigned_datetime.epochMillis) / 1000.0) AS seconds
