    // An unusable client: its id is neither a positive integer nor text that schema apply can convert to one.
    WHERE NOT coalesce(c.id IS :: INTEGER AND c.id > 0, false) AND NOT coalesce(
        c.id =~ '[0-9]{1,19}' AND toIntegerOrNull(c.id) > 0
        AND NOT EXISTS { (:DMCheckClient {id: toIntegerOrNull(c.id)}) }, false)
