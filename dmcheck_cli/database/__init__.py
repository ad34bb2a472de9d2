"""The only rooms in which the Neo4j driver is known: where the database is, one retry policy, errors turned into ours."""
