"""dmcheck: hands out accounts to check to many clients, fairly, and takes their answers back."""
