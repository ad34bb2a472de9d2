// Ends our transactions that carry a token.
// Parameters: token.
// Columns: message.
// Repeating: finds no such transaction.
SHOW TRANSACTIONS YIELD transactionId, metaData
WHERE metaData.token = $token
TERMINATE TRANSACTIONS transactionId YIELD message
RETURN message
