"""Proof under concurrency, crashes and lies of the network: histories of what was asked and answered, judged
against the graph. The suite runs it in short; `scripts/prove.py` runs it long."""
