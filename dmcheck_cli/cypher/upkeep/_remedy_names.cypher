// For an operator to run: the users stay, with all that is theirs, under another label.
MATCH (u:User)
        // include: _uncheckable
CALL (u) { REMOVE u:User SET u:UncheckableUser } IN TRANSACTIONS OF 10000 ROWS
