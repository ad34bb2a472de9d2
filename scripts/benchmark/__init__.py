"""The parts of `scripts/bench.py`.

`crowd` runs client processes and times them; `ours`, `plain` and `old_system` are what they do; `graph` prepares the
database; `rounds`, `scale` and `processes` are the three sections of a run; `report` makes the tables of them.
"""
