"""Checkers that come with dmcheck: programs for `dmcheck work`. They import nothing of dmcheck."""
