// Checks the next users, in name order, for broken invariants and for users who can never be checked.
// Parameters: after (a name; '' for the first), slice (how many users to read).
// Columns: seen (users read), last (the name of the last one; null when none), and per kind a list of the count and the
//   first characters of an example's name: several_buckets, several_answers, checked_and_waiting (and not for a
//   second opinion), mismarked (in a bucket for a second opinion, without a first), alone (second opinions without a
//   first), misplaced (needs or waits for what contradicts the rest), names (that cannot be looked up), ids (that are invalid), cases (stored again in another case, and not the one of them to keep, which has
//   an answer or comes first; with up to 20 of the names).
// Repeating: reads only.
MATCH (u:User) WHERE u.screen_name > $after
WITH u ORDER BY u.screen_name LIMIT $slice
        // include: _odd_opinions
WITH u.screen_name AS name, COUNT { (u)-[:INDMCHECKBUCKET]->() } AS buckets, alone, misplaced,
     COUNT { (u)-[m:INDMCHECKBUCKET]->() WHERE m.second IS NOT NULL } AS marked,
     COUNT { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } AS answers, toLower(u.screen_name) AS key,
     u.id IS NOT NULL AND NOT coalesce(u.id IS :: INTEGER AND u.id > 0, false) AS wrong_id
WITH *, COLLECT {
    CALL (key) {
        MATCH (o:User {screen_name: key}) RETURN o
        UNION MATCH (o:DMCheckName {dmcheck_name: key}) USING INDEX SEEK o:DMCheckName(dmcheck_name) WHERE o:User RETURN o
    }
    WITH o.screen_name AS kept, COUNT { (o)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } AS more
    RETURN kept ORDER BY more DESC, kept LIMIT 1
}[0] <> name AS again
WITH count(name) AS seen, max(name) AS last, collect(CASE WHEN buckets > 1 THEN name END) AS several_buckets,
     collect(CASE WHEN answers > 1 THEN name END) AS several_answers,
     collect(CASE WHEN answers > 0 AND buckets = 1 AND marked = 0 THEN name END) AS checked_and_waiting,
     collect(CASE WHEN answers = 0 AND marked > 0 THEN name END) AS mismarked,
     collect(CASE WHEN alone THEN name END) AS alone, collect(CASE WHEN misplaced THEN name END) AS misplaced,
     collect(CASE WHEN NOT name =~ '[A-Za-z0-9_]{1,20}' THEN name END) AS names,
     collect(CASE WHEN wrong_id THEN name END) AS ids, collect(CASE WHEN again THEN name END) AS cases
RETURN seen, last, [size(several_buckets), left(several_buckets[0], 40)] AS several_buckets,
       [size(several_answers), left(several_answers[0], 40)] AS several_answers,
       [size(checked_and_waiting), left(checked_and_waiting[0], 40)] AS checked_and_waiting,
       [size(mismarked), left(mismarked[0], 40)] AS mismarked, [size(alone), left(alone[0], 40)] AS alone,
       [size(misplaced), left(misplaced[0], 40)] AS misplaced,
       [size(names), left(names[0], 40)] AS names, [size(ids), left(ids[0], 40)] AS ids,
       [size(cases), left(cases[0], 40), cases[..20]] AS cases
