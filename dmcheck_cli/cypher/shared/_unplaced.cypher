    // Whether the user `u` is in no bucket.
    NOT EXISTS { (u)-[:INDMCHECKBUCKET]->() }
