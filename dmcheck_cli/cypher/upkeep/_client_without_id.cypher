    // Nobody can act as this client: its id is no whole number from 1 up, nor a text that schema apply makes one.
    WHERE NOT coalesce(c.id IS :: INTEGER AND c.id > 0, false) AND NOT coalesce(
        c.id =~ '[0-9]{1,19}' AND toIntegerOrNull(c.id) > 0
        AND NOT EXISTS { (:DMCheckClient {id: toIntegerOrNull(c.id)}) }, false)
