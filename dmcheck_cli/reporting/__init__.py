"""How people and programs see results: the views, and the formats in which they are printed."""
