// For an operator to run: keeps the clients, with their answers, under another label.
MATCH (c:DMCheckClient)
    // include: _client_without_id
CALL (c) { REMOVE c:DMCheckClient SET c:DMCheckClientWithoutId } IN TRANSACTIONS OF 10000 ROWS
