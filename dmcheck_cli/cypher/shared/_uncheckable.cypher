        // Names that cannot be looked up: wrong characters, too long, not text, or missing.
        WHERE NOT coalesce(u.screen_name =~ '[A-Za-z0-9_]{1,20}', false)
