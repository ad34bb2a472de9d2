MATCH (u:User) WHERE u.screen_name > $after
WITH u ORDER BY u.screen_name LIMIT $slice
WITH count(u) AS seen, max(u.screen_name) AS last, collect(CASE
    WHEN EXISTS { (u)-[:INDMCHECKBUCKET]->() } OR EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() } THEN null
    WHEN u.screen_name =~ '[A-Za-z0-9_]{1,20}' THEN u END) AS waiting
RETURN seen, last, [u IN waiting | u.screen_name] AS names, [u IN waiting |
           CASE WHEN u.id IS :: INTEGER AND u.id > 0 THEN u.id END
       ] AS ids
