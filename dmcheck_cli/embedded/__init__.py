"""The embedded database: a private, real Neo4j Community server that the command line runs on loopback.

    no server --ensure_running--> [lock] parts checked, files written, java launched, Bolt answers [/lock] --> running
    running   --stop, kill -9, reboot--> no server          (acknowledged writes are in the store, and stay)

`server` is what the rest of the program uses. Below it, each using only what is below it: `administration` (Neo4j's own
tool on the stopped store), `launch` (one attempt to start), `archive` (Java's archive of Neo4j's classes, for faster
starts), `store` (the graph and the version that made it), `credentials` and `state` (two files of the home), `parts`
and `fetching` (the jars), `configuration` (settings of Neo4j and Java), `process` (queries to the operating system),
`remedies` (what it refuses, and what helps), `folders` (where everything is), `files` (private files, locks),
`progress` (messages to a person), `extra` (what to install).

Everything is under the home (DMCHECK_HOME), private to its owner:

    lock           held from looking for the server until it is ready, and while it is stopped
    server.json    the running server, written once it is ready: pid, create_time, port, version
    password       the password of the account `neo4j`
    neo4j/         what Neo4j calls its home: conf/ (rewritten at each start), data/ (the graph), logs/

The jars and the archive are in the user's cache folder, shared by all homes; it may be deleted whenever no server runs.
"""
