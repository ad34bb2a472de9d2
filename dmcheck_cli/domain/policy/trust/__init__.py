"""Whom to believe: from opinions and counts to verdicts, needs of a further opinion, and standing.

`verdict.py` concludes about one user, `standing.py` about clients; `rules.py` has every number. Nothing here knows a
database, a clock or chance.

What must be stored, and by whom it is written:

| where | what | written by |
| --- | --- | --- |
| each opinion | client, answer, `at` | `submit` |
| | `counted`: the answer it was compared with, as it stands in its client's counts; null: none | the job |
| | `looked`: the job has seen it | the job |
| | `doubted`: its client was contained, and it counts for nothing | the job; `submit` for who is contained |
| each user | `needs`: why it needs another opinion; null: it needs none | `submit`, then the job |
| each client | for each of four cells: compared, contradicted (8 numbers); pairs, differ | the job |
| | `times` of its last 32 buckets, and for each cell as many sums (5 lists) | the job |
| | `contained` (since when), `watched` (buckets still to be watched) | the job |
| | `share` (of its other answers that are checked) | the job |
| | how many DM, NON_DM, UNKNOWN it said when asked first | `submit` (in the lease's record), the job |

What `submit` decides alone: a user needs another opinion if the answer is DM, if its client is contained (`share` is
1), or if a random number is below the client's `share`. A second opinion takes the user off the list of those who need
one, and puts it on the list of those whom the job has to look at.

What the job decides, for what is new since its last run: `Standings.count` for each user who got a second opinion,
with all opinions on that user, after `Standings.saw_bucket` for each answered lease; then, while `Standings.worst`
names a client, `Standings.contain`. That says since when to doubt. The job then reads what that client said since
(lone answers and second opinions), marks it `doubted`, and passes each user to `count` again: this takes the client's
word out of the counts of everybody else, and says who needs another opinion. `Standings.released` names those whose
containment ends. Everything it changed is in `Standings.clients` and in the opinions; run again with nothing new, it
changes nothing.

What an error in the crowd as a whole changes (its shares, its noise) is recalculated from the clients' counts when a
run begins, and is stored nowhere. A lone answer that was enough before may then need another: whoever goes around the
users (make_buckets) asks `conclude` and marks it.

Trust assumes that an operator admits clients (the gate): ids are free, and `dm_from_id` is only claimed. One person
with most of the ids decides what comes out. At most a third of the clients is contained by rule.
"""
