// For an operator to run: keeps the users, with all that belongs to them, under another label.
MATCH (u:User)
        // include: _uncheckable
CALL (u) { REMOVE u:User SET u:UncheckableUser } IN TRANSACTIONS OF 10000 ROWS
