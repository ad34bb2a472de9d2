MATCH (center:DMCheckBucket {uuid: $bucket})
CALL (center) {
    MATCH p = (center)
    RETURN p
    UNION
    MATCH p = (center)-[:DMCHECKCLIENT]->(:DMCheckClient)
    RETURN p LIMIT 1
    UNION
    MATCH p = (center)<-[:INDMCHECKBUCKET]-(:User)
    RETURN p LIMIT 58
    UNION
    MATCH p = (center)<-[:INDMCHECKBUCKET]-(:User)<-[:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]-()
    RETURN p LIMIT 20
}
