    // Gives back every bucket that the locked client `c` holds: `returned`.
    MATCH (c)<-[:DMCHECKCLIENT]-(held:DMCheckBucket)
    WITH held ORDER BY held.uuid
    REMOVE held.lock
    WITH collect(held) AS locked
    UNWIND locked AS b
    WITH b, 'returned' AS how
    // include: _end_lease
    // include: _give_back
    RETURN count(b) AS returned
