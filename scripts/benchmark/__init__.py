"""The parts of `scripts/bench.py`.

`crowd` runs client processes and times them, `library` chooses the form of the driver that they use. Their tasks are in
`ours`, `plain`, `old_system` and `postgres`. `graph` makes servers and graphs. `rounds`, `scale`, `processes` and
`start` are the sections of a run; `report` turns their results into figures. `sight` is a run of its own.
"""
