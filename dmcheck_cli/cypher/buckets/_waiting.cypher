    // Whether the user `u` waits in no bucket, without an answer.
    NOT EXISTS { (u)-[:INDMCHECKBUCKET]->() } AND NOT
    // include: _checked
