    // A name that can be looked up and that `submit` accepts. A value that is not text does not match.
    WHERE u.screen_name =~ '\\w{1,20}'
