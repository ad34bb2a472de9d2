        // Whether second opinions on the user `u` stand beside no answer in force (`alone`), and whether its need of another
        // opinion, or that it is set aside, contradicts the rest (`misplaced`).
        WITH *,
    // include: _checked
             AS answered, NOT
    // include: _unplaced
             AS placed
        WITH *, NOT answered AND EXISTS { (u)<-[:DM_SECOND]-() } AS alone, coalesce(
            (u.dmcheck_needs IS NULL) <> (u.dmcheck_asked IS NULL)
            OR u.dmcheck_needs IS NOT NULL AND (placed OR NOT answered)
            OR u.dmcheck_aside IS NOT NULL AND (placed OR answered AND u.dmcheck_needs <> 'look'), false) AS misplaced
