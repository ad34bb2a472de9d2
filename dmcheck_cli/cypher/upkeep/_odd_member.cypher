        // Users who should not be in a bucket: checked ones, and those whose name cannot be looked up.
        WITH *, NOT coalesce(u:User AND u.screen_name =~ '[A-Za-z0-9_]{1,20}', false) AS nameless,
    // include: _checked
             AS checked
