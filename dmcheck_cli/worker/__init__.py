"""`dmcheck work`: the loop that every volunteer would otherwise write.

One thread (`loop`) owns all state and talks to the database: `fetcher` gets buckets, `holdings` keeps them and ends
their leases. `pool` has one thread per running COMMAND, which drives it (`command`) and interprets its output
(`protocol`). They share two queues and nothing else, so no lock guards a lease.
"""
