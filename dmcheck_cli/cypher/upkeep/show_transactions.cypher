// What is going on in the database: what is being built, and who holds locks.
// Parameters: none.
// Columns: id, app ('dmcheck': ours), builds (what of ours it creates or drops), locks, origin, seconds (since it began).
// Repeating: reads only.
SHOW TRANSACTIONS YIELD transactionId, metaData, activeLockCount, clientAddress, elapsedTime
RETURN transactionId AS id, metaData.app AS app, metaData.builds AS builds, activeLockCount AS locks,
    clientAddress AS origin, elapsedTime.seconds AS seconds
