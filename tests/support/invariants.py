"""What must hold in the graph at every moment, whatever clients, jobs and crashes have done to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dmcheck_cli.domain.limits import DEFAULTS

Query = Callable[..., list[dict[str, Any]]]

PATIENCE = 300.0
"""Seconds for a look at the whole graph, which may be large, and the machine busy."""

# Each statement finds what breaks the invariant that it stands under, one row each.
INVARIANTS = {
    "a bucket has at most one holder": """
        MATCH (b:DMCheckBucket) WHERE COUNT { (b)-[:DMCHECKCLIENT]->() } > 1 RETURN b.uuid AS what""",
    "a user is in at most one bucket": """
        MATCH (u:User) WHERE COUNT { (u)-[:INDMCHECKBUCKET]->() } > 1 RETURN u.screen_name AS what""",
    "a user has at most one current answer": """
        MATCH (u:User) WHERE COUNT { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } > 1 RETURN u.screen_name AS what""",
    "who is in a bucket has an answer exactly if it is there for a second opinion": """
        MATCH (u:User)-[m:INDMCHECKBUCKET]->()
        WHERE (m.second IS NULL) = EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } RETURN u.screen_name AS what""",
    "who needs another opinion is answered and in no bucket": """
        MATCH (u:User) WHERE u.dmcheck_needs <> 'look'
            AND (EXISTS { (u)-[:INDMCHECKBUCKET]->() } OR NOT EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() })
        RETURN u.screen_name AS what""",
    "a need is known, and so is who was asked first": """
        MATCH (u:User) WHERE coalesce(u.dmcheck_needs, u.dmcheck_asked) IS NOT NULL AND NOT coalesce(u.dmcheck_needs
            IN ['dm', 'check', 'conflict', 'unsure', 'contained', 'look'] AND u.dmcheck_asked >= 0, false)
        RETURN u.screen_name AS what""",
    "nobody says two things of one user": """
        MATCH (c)-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]->(u:User) WITH u, c, count(r) AS times WHERE times > 1
        RETURN u.screen_name AS what""",
    "a second opinion is on somebody who has an answer, and says what and when": """
        MATCH (u:User)<-[r:DM_SECOND]-() WHERE NOT coalesce(r.candm IN ['DM', 'NON_DM', 'UNKNOWN'], false)
            OR r.at IS NULL AND r.overruled IS NULL OR NOT EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() }
        RETURN u.screen_name AS what""",
    "a bucket names all who answered for those who are there for a second opinion": """
        MATCH (u:User)-[m:INDMCHECKBUCKET]->(b) WHERE m.second IS NOT NULL AND EXISTS {
            (u)<-[:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]-(c:DMCheckClient) WHERE NOT coalesce(c.id IN b.heard, false) }
        RETURN b.uuid AS what""",
    "nobody is asked for a second opinion who is not independent": """
        MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(c) WHERE c.id IN b.heard OR c.dm_from_id IN b.sources
        RETURN b.uuid AS what""",
    "who was set aside is in no bucket, and in nobody's line": """
        MATCH (u:User) WHERE u.dmcheck_aside IS NOT NULL
            AND (EXISTS { (u)-[:INDMCHECKBUCKET]->() } OR u.dmcheck_needs <> 'look')
        RETURN u.screen_name AS what""",
    "only users are in buckets, and only in buckets": """
        MATCH (u)-[:INDMCHECKBUCKET]->(b) WHERE NOT u:User OR NOT b:DMCheckBucket
        RETURN labels(u) + labels(b) AS what""",
    "a bucket is ready exactly while nobody holds it, unless too many leases failed on it": f"""
        MATCH (b:DMCheckBucket) WITH b, coalesce(b.failures >=
            CASE WHEN b.split THEN {DEFAULTS.max_failures[1]} ELSE {DEFAULTS.max_failures[0]} END, false) AS spent
        WHERE (b.place IS NULL) <> (spent OR EXISTS {{ (b)-[:DMCHECKCLIENT]->() }}) RETURN b.uuid AS what""",
    "a bucket has a priority and the time since which it waits": """
        MATCH (b:DMCheckBucket) WHERE b.priority IS NULL OR b.edit_datetime IS NULL RETURN b.uuid AS what""",
    "a held bucket has a lease, and when it was given and ends": """
        MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->()
        WHERE b.newest IS NULL OR b.assigned_datetime IS NULL OR b.expires IS NULL RETURN b.uuid AS what""",
    "a held bucket's lease is on record, as its holder's and unanswered": """
        MATCH (b:DMCheckBucket)-[:DMCHECKCLIENT]->(c)
        WHERE NOT EXISTS { MATCH (l:DMCheckLease {id: b.newest})
            WHERE l.bucket = b.uuid AND l.client = c.id AND l.digest IS NULL } RETURN b.uuid AS what""",
    "a waiting bucket carries nothing of a lease that is held": """
        MATCH (b:DMCheckBucket) WHERE NOT EXISTS { (b)-[:DMCHECKCLIENT]->() }
            AND coalesce(b.assigned_datetime, b.renewed_datetime, b.expires, b.dead_datetime) IS NOT NULL
        RETURN b.uuid AS what""",
    "no waiting bucket is empty": """
        MATCH (b:DMCheckBucket) WHERE b.place IS NOT NULL AND NOT EXISTS { (b)<-[:INDMCHECKBUCKET]-() }
        RETURN b.uuid AS what""",
    "no lease is on two buckets": """
        MATCH (b:DMCheckBucket) WHERE b.newest IS NOT NULL
        WITH b.newest AS what, count(b) AS times WHERE times > 1 RETURN what""",
    "a lease has ended unless it is held": """
        MATCH (l:DMCheckLease)
        WHERE (l.ended IS NULL) <> EXISTS {
            MATCH (b:DMCheckBucket {uuid: l.bucket})-[:DMCHECKCLIENT]->() WHERE b.newest = l.id
        } RETURN l.id AS what""",
    "a lease that has ended says how; one that has not is not judged": """
        MATCH (l:DMCheckLease)
        WHERE (l.ended IS NULL) <> (l.how IS NULL) OR l.ended IS NULL AND (l.unjudged IS NULL OR l.users IS NOT NULL)
        RETURN l.id AS what""",
    "every client has exactly one node of counters": """
        MATCH (c:DMCheckClient) WHERE COUNT { (c)-[:STATS]->(:DMCheckClientStats) } <> 1 RETURN c.id AS what""",
    "counters belong to exactly one client": """
        MATCH (s:DMCheckClientStats) WHERE COUNT { (s)<-[:STATS]-(:DMCheckClient) } <> 1 RETURN elementId(s) AS what""",
    "a client is there once": """
        MATCH (c:DMCheckClient) WITH c.id AS what, count(c) AS times WHERE times > 1 OR what IS NULL RETURN what""",
    "counters are numbers from 0 up": """
        MATCH (c:DMCheckClient)-[:STATS]->(s)
        WHERE NOT coalesce(s.buckets_assigned >= 0 AND s.buckets_processed >= 0 AND s.buckets_fault >= 0
            AND s.buckets_dead >= 0, false) RETURN c.id AS what""",
    "an allowance is a whole number from 1 up, and no more faults were judged than there are": """
        MATCH (c:DMCheckClient)-[:STATS]->(s)
        WHERE NOT coalesce(s.allowance, 1) IS :: INTEGER NOT NULL OR s.allowance < 1
            OR NOT 0 <= coalesce(s.faults_judged, 0) <= s.buckets_fault RETURN c.id AS what""",
    "exactly what was raised has a priority below 0": """
        MATCH (b:DMCheckBucket) WHERE (b.priority < 0) <> (b.raised_from IS NOT NULL) RETURN b.uuid AS what""",
    "no more is processed, held or dead than was assigned": """
        MATCH (c:DMCheckClient)-[:STATS]->(s)
        WHERE s.buckets_processed > s.buckets_assigned OR s.buckets_dead > s.buckets_assigned
            OR COUNT { (c)<-[:DMCHECKCLIENT]-() } > s.buckets_assigned RETURN c.id AS what""",
    "an inactive or suspended client holds nothing": """
        MATCH (c:DMCheckClient) WHERE (c.state <> 'ACTIVE' OR c.suspended IS NOT NULL)
            AND EXISTS { (c)<-[:DMCHECKCLIENT]-() } RETURN c.id AS what""",
    "no more was judged than was processed": """
        MATCH (c:DMCheckClient)-[:STATS]->(s) WHERE NOT 0 <= coalesce(s.processed_judged, 0) <= s.buckets_processed
        RETURN c.id AS what""",
    "what is known about a client has its shape": """
        MATCH (c:DMCheckClient)-[:STATS]->(s) WHERE NOT (size(coalesce(s.compared, range(1, 4))) = 4
            AND size(coalesce(s.contradicted, range(1, 4))) = 4 AND size(coalesce(s.said, range(1, 3))) = 3
            AND size(coalesce(s.sums, [])) = 4 * size(coalesce(s.times, []))
            AND all(i IN range(0, size(coalesce(s.compared, [])) - 1) WHERE 0 <= s.contradicted[i] <= s.compared[i])
            AND all(n IN coalesce(s.said, []) WHERE n >= 0) AND 0 <= coalesce(s.share, 0) <= 1) RETURN c.id AS what""",
    "what is doubted are intervals in order, the last one open exactly while contained": """
        MATCH (c:DMCheckClient)-[:STATS]->(s) WITH c, s, coalesce(s.doubted, []) AS at
        WHERE (size(at) % 2 = 1) <> (s.contained IS NOT NULL)
            OR any(i IN range(1, size(at) - 1) WHERE at[i - 1] > at[i])
        RETURN c.id AS what""",
    "the answers of a lease that were asked for first are among its answers": """
        MATCH (l:DMCheckLease) WHERE l.first IS NOT NULL AND NOT (size(l.first) = 3 AND 0 <= l.first[0] <= l.dm
            AND 0 <= l.first[1] <= l.non_dm AND 0 <= l.first[2] <= l.unknown) RETURN l.id AS what""",
}

USERS = """
    MATCH (u:User)
    WITH u, EXISTS { (u)-[m:INDMCHECKBUCKET]->() WHERE m.second IS NULL } AS bucketed,
         EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } AS checked
    RETURN count(u) AS users, count(CASE WHEN NOT bucketed AND NOT checked THEN 1 END) AS waiting,
           count(CASE WHEN bucketed THEN 1 END) AS bucketed, count(CASE WHEN checked THEN 1 END) AS checked"""


def broken(query: Query) -> list[str]:
    """Which invariants the whole graph breaks, each with the first few that break it; an empty list is what one wants.

    `query` runs a Cypher text and returns its rows. Nobody may write to the graph at that moment.
    """
    found = []
    for invariant, statement in INVARIANTS.items():
        rows = query(statement, patience=PATIENCE)
        if rows:
            found.append(f"not true: {invariant}: {len(rows)}, such as {[row['what'] for row in rows[:3]]}")
    [users] = query(USERS, patience=PATIENCE)
    if users["users"] != users["waiting"] + users["bucketed"] + users["checked"]:
        found.append(f"not true: users are waiting, in a bucket, or checked: {users}")
    return found
