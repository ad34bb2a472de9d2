"""What tests and proofs share: graphs made ready, programs run, what must hold of every graph."""
