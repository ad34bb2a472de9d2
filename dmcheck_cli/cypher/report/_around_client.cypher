MATCH (center:DMCheckClient {id: $client})
CALL (center) {
    MATCH p = (center)
    RETURN p
    UNION
    MATCH p = (center)<-[:DMCHECKCLIENT]-(:DMCheckBucket)<-[:INDMCHECKBUCKET]-(:User)
    RETURN p LIMIT 30
    UNION
    MATCH p = (center)-[:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]->(:User)
    RETURN p LIMIT 39
}
