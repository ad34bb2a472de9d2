    // Puts the locked bucket `b` back in line. Users prioritized meanwhile move to a new bucket of that priority; a
    // bucket without a user who can be looked up is deleted. A spent one waits for `split_buckets`, outside the line.
    SET b += {place: CASE WHEN
    // include: _spent
        THEN null ELSE rand() END, assigned_datetime: null, renewed_datetime: null, dead_datetime: null,
        expires: null}
    WITH *
    CALL (b) { OPTIONAL MATCH (b)-[held:DMCHECKCLIENT]->() DELETE held }
    CALL (b) {
        MATCH (u)-[m:INDMCHECKBUCKET]->(b) WHERE m.priority IS NOT NULL
        WITH m.priority AS priority, collect(m) AS leaving, collect(u) AS users
        CREATE (n:DMCheckBucket {uuid: replace(randomUUID(), '-', ''), priority: priority,
            place: rand(), edit_datetime: datetime()})
        FOREACH (m IN leaving | DELETE m)
        FOREACH (u IN users | CREATE (u)-[:INDMCHECKBUCKET]->(n))
    }
    CALL (b) {
        WITH b WHERE NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-(u) WHERE u.screen_name =~ '\\w{1,20}' }
        DETACH DELETE b
    }
