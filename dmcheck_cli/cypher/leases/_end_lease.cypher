    // Records the end of the newest lease of the locked bucket `b`; `how` says how it ended.
    CALL (b, how) {
        MATCH (l:DMCheckLease {id: b.newest})
        SET l.ended = datetime(), l.how = how, l.users = COUNT { (b)<-[:INDMCHECKBUCKET]-() }
        FOREACH (x IN CASE WHEN how = 'died' OR l.failed THEN [b] ELSE [] END |
        // include: _count_failure
        )
    }
