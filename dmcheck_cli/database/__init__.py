"""The only package that knows the Neo4j driver: connections, one retry policy, and driver errors turned into ours."""
