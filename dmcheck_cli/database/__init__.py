"""The only room in which the Neo4j driver is known: connecting, one retry policy, errors turned into ours."""
