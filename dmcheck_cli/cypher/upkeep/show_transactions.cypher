// What the database is doing: what is being built, and which transactions hold locks.
// Parameters: none.
// Columns: id, app ('dmcheck': ours), builds (what it creates or drops for us), locks, origin, seconds (since it
//   began).
// Repeating: reads only.
SHOW TRANSACTIONS YIELD transactionId, metaData, activeLockCount, clientAddress, elapsedTime
RETURN transactionId AS id, metaData.app AS app, metaData.builds AS builds, activeLockCount AS locks,
    clientAddress AS origin, elapsedTime.seconds AS seconds
