    // Whether the user `u` is unanswered, in no bucket, and not set aside.
    u.dmcheck_aside IS NULL AND
    // include: _unplaced
    AND NOT
    // include: _checked
