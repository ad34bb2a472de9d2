// For an operator to run: converts digit strings to numbers and removes other invalid ids.
MATCH (u:User) WHERE u.id IS NOT NULL AND NOT coalesce(u.id IS :: INTEGER AND u.id > 0, false)
CALL (u) {
    SET u.id = CASE WHEN u.id =~ '[0-9]{1,19}' AND toIntegerOrNull(u.id) > 0 THEN toIntegerOrNull(u.id) END
} IN TRANSACTIONS OF 10000 ROWS
