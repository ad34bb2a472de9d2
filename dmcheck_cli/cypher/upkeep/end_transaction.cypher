// Ends the transactions of ours that carry a token.
// Parameters: token.
// Columns: message.
// Repeating: finds none any more.
SHOW TRANSACTIONS YIELD transactionId, metaData
WHERE metaData.token = $token
TERMINATE TRANSACTIONS transactionId YIELD message
RETURN message
