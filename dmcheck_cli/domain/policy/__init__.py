"""The rules by which jobs decide about clients; README.md lists them."""
