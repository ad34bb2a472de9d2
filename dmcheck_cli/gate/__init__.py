"""The door for volunteers who are strangers: they come through SSH, and a key is a client (README.md)."""
