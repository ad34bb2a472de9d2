    // When the opinion `r` was given, in seconds; 0 where an older system stored no time.
    CASE WHEN r.at IS :: ZONED DATETIME NOT NULL THEN r.at.epochMillis ELSE 0 END / 1000.0
