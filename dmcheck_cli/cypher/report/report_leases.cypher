// The leases that ended lately, hour by hour, by how they ended.
// Parameters: days (how far back).
// Columns: hour (since 1970), how, late (it was dead before), leases, users, dm, non_dm, unknown, accepted (answers that were
//   taken).
// Repeating: reads only.
MATCH (l:DMCheckLease) WHERE l.ended > datetime() - duration({days: $days}) AND l.ended <= datetime()
RETURN l.ended.epochSeconds / 3600 AS hour, toStringOrNull(l.how) AS how, coalesce(l.died = true, false) AS late,
       count(l) AS leases, sum(coalesce(toIntegerOrNull(l.users), 0)) AS users,
       sum(coalesce(toIntegerOrNull(l.dm), 0)) AS dm, sum(coalesce(toIntegerOrNull(l.non_dm), 0)) AS non_dm,
       sum(coalesce(toIntegerOrNull(l.unknown), 0)) AS unknown,
       sum(coalesce(toIntegerOrNull(l.accepted), toIntegerOrNull(l.dm) + toIntegerOrNull(l.non_dm)
           + toIntegerOrNull(l.unknown), 0)) AS accepted
