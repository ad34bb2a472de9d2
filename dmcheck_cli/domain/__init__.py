"""What dmcheck decides, as plain functions: no database, no clock, no command line."""
