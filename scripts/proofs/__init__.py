"""Proofs under concurrency, crashes and network faults: histories of requests and replies, judged against the graph.
The suite runs them in short form; `scripts/prove.py` runs the long forms."""
