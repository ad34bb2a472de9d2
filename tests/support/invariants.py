"""What must hold in the graph at every moment, whatever clients, jobs and crashes have done to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    "nobody is both answered and in a bucket, but for a second opinion": """
        MATCH (u:User)-[m:INDMCHECKBUCKET]->() WHERE m.second IS NULL AND EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() }
        RETURN DISTINCT u.screen_name AS what""",
    "only users are in buckets, and only in buckets": """
        MATCH (u)-[:INDMCHECKBUCKET]->(b) WHERE NOT u:User OR NOT b:DMCheckBucket
        RETURN labels(u) + labels(b) AS what""",
    "a bucket is ready exactly while nobody holds it": """
        MATCH (b:DMCheckBucket) WHERE (b.place IS NULL) <> EXISTS { (b)-[:DMCHECKCLIENT]->() } RETURN b.uuid AS what""",
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
        MATCH (c:DMCheckClient)<-[:DMCHECKCLIENT]-() WHERE c.state <> 'ACTIVE' OR c.suspended IS NOT NULL
        RETURN c.id AS what""",
}

USERS = """
    MATCH (u:User)
    WITH u, EXISTS { (u)-[m:INDMCHECKBUCKET]->() WHERE m.second IS NULL } AS bucketed,
         EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } AS checked
    RETURN count(u) AS users, count(CASE WHEN NOT bucketed AND NOT checked THEN 1 END) AS waiting,
           count(CASE WHEN bucketed THEN 1 END) AS bucketed, count(CASE WHEN checked THEN 1 END) AS checked"""


def broken(query: Query) -> list[str]:
    """Which invariants the whole graph breaks, each with the first few that break it; an empty list is what one wants.

    `query` runs a Cypher text and returns its rows. For a graph of which nobody writes at that moment.
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
