"""What people and programs see of results: the views, and the forms in which they are printed."""
