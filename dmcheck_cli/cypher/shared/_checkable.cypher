    // A name that can be asked for, and that `submit` takes. What is no text does not match either.
    WHERE u.screen_name =~ '\\w{1,20}'
