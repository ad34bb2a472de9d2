        // Members `u` of a bucket `b` by `m` who should not be there (`nameless`: nobody can look them up; `checked`: they
        // have an answer, and need no second one), or not for a second opinion (`mismarked`). And whether the bucket
        // does not know who answered them (`unheard`).
        WITH *, NOT coalesce(u:User AND u.screen_name =~ '[A-Za-z0-9_]{1,20}', false) AS nameless,
    // include: _checked
             AS answered
        WITH *, answered AND m.second IS NULL AS checked, NOT answered AND m.second IS NOT NULL AS mismarked,
             answered AND m.second IS NOT NULL AND EXISTS {
    // include: _opinions
                 WHERE c.id IS :: INTEGER NOT NULL AND NOT coalesce(c.id IN b.heard, false)
             } AS unheard
