// Locks the clients in `ids` and then the buckets in `uuids`, each in order.
CALL (ids) {
    UNWIND ids AS id
    WITH DISTINCT id ORDER BY id
    MATCH (c:DMCheckClient {id: id})
    REMOVE c.lock
}
CALL (uuids) {
    UNWIND uuids AS uuid
    WITH uuid ORDER BY uuid
    MATCH (b:DMCheckBucket {uuid: uuid})
    REMOVE b.lock
}
