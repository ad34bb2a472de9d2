"""How far one server carries: a model, what it was measured with, and what it foretells (scripts/scale.py)."""
