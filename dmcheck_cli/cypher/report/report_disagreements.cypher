// Whose second opinions differ from whose answer in force.
// Parameters: each (of a client so many second opinions are compared at most), most (pairs that are listed at most).
// Columns: seen (second opinions that were compared), left_out (those of clients that have more than `each`), pairs (how
//   many pairs of clients were compared), listed (those that differ most often: maps of first, second, compared, differing;
//   the ids of clients, null of one that was deleted).
// Repeating: reads only.
MATCH (d) WHERE d:DMCheckClient OR d:DMCheckFormerClient
CALL (d) {
    MATCH (d)-[r:DM_SECOND]->(u:User)
    WITH r, u LIMIT $each
    MATCH (u)<-[f:DM_YES|DM_NO|DM_UNKNOWN]-(c) WHERE c <> d
    RETURN c, count(r) AS compared, sum(CASE WHEN r.candm =
        CASE type(f) WHEN 'DM_YES' THEN 'DM' WHEN 'DM_NO' THEN 'NON_DM' ELSE 'UNKNOWN' END THEN 0 ELSE 1 END) AS differing
}
WITH CASE WHEN c:DMCheckClient THEN c.id END AS first, CASE WHEN d:DMCheckClient THEN d.id END AS second, sum(compared) AS compared, sum(differing) AS differing
ORDER BY differing DESC, compared, first, second
WITH collect({first: first, second: second, compared: compared, differing: differing}) AS found
CALL () {
    MATCH (d) WHERE d:DMCheckClient OR d:DMCheckFormerClient
    WITH COUNT { (d)-[:DM_SECOND]->() } - $each AS more WHERE more > 0
    RETURN coalesce(sum(more), 0) AS left_out
}
RETURN reduce(total = 0, one IN found | total + one.compared) AS seen, left_out, size(found) AS pairs,
       [one IN found[..$most] WHERE one.differing > 0] AS listed
