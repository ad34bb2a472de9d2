        // Who should not be in a bucket: who is checked, and who can never be answered for.
        WITH *, NOT coalesce(u:User AND u.screen_name =~ '[A-Za-z0-9_]{1,20}', false) AS nameless,
    // include: _checked
             AS checked
