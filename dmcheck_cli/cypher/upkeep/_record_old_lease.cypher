// Records what became of the leases in `locked`, which release 0.1.0 gave and ended.
CALL (locked) {
    UNWIND locked AS l
    WITH l WHERE l.ended IS NULL AND l.unjudged IS NULL
    SET l += {ended: coalesce(l.assigned_datetime, datetime()), users: coalesce(l.accepted + l.returned, l.given_back),
        how: CASE WHEN l.accepted > 0 THEN 'answered' WHEN l.digest IS NOT NULL OR l.given_back IS NOT NULL
            THEN 'released' WHEN l.died THEN 'died' ELSE 'returned' END}
    REMOVE l.returned, l.given_back
    RETURN count(l) AS upgraded
}
