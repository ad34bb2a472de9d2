        // Names that nobody can ask for: of other characters, too long, no text, or missing.
        WHERE NOT coalesce(u.screen_name =~ '[A-Za-z0-9_]{1,20}', false)
