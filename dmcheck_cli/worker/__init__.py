"""`dmcheck work`: the loop that every volunteer would otherwise write.

One thread (`loop`) owns all state and talks to the database: `asking` knows how to get buckets, `holding` keeps them
and ends their leases. `pool` has a thread for each COMMAND at work, which drives it (`child`) and understands it
(`protocol`). They share two queues and nothing else, so no lock guards a lease.
"""
