"""What earlier releases sent to the database, as it was: to make the graphs that they made, and to run beside ours."""
