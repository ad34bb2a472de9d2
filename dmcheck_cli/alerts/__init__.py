"""Alert rules for Prometheus, as files; README.md beside this explains each."""

from pathlib import Path

RULES = Path(__file__).with_name("dmcheck.yml")
"""The rules of all alerts."""
