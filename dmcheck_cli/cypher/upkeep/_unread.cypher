    // Whether one of the times in the list `found` is to be replaced by that in `times` (_moments).
    any(i IN range(0, size(found) - 1)
        WHERE times[i] IS :: ZONED DATETIME NOT NULL AND NOT found[i] IS :: ZONED DATETIME NOT NULL)
