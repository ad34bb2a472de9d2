    // Whether the user `u` is unanswered and in no bucket.
    NOT EXISTS { (u)-[:INDMCHECKBUCKET]->() } AND NOT
    // include: _checked
