// When the database's server was started. `SHOW DATABASES` tells of Community's when it was created.
// Parameters: none.
// Columns: started (milliseconds since 1970).
// Repeating: reads only.
CALL dbms.queryJmx('java.lang:type=Runtime') YIELD attributes
RETURN attributes.StartTime.value AS started
