// Creates the names of all labels, relationship types and properties, before anything is stored under them. Neo4j plans
// a statement again when a name that it lacked appears, for each client that sends the statement meanwhile.
// Parameters: none.
// Columns: created (the names it knows).
// Repeating: a name that exists stays; nothing is stored.
CALL () {
    UNWIND ['DMCheckBucket', 'DMCheckClient', 'DMCheckClientStats', 'DMCheckEvent', 'DMCheckFormerClient', 'DMCheckJob',
        'DMCheckLease', 'DMCheckName', 'DMCheckSchema', 'User'] AS name
    CALL db.createLabel(name)
    RETURN count(*) AS labels
}
CALL () {
    UNWIND ['DMCHECKCLIENT', 'DM_NO', 'DM_PAST', 'DM_SECOND', 'DM_UNKNOWN', 'DM_YES', 'INDMCHECKBUCKET', 'STATS'] AS name
    CALL db.createRelationshipType(name)
    RETURN count(*) AS types
}
CALL () {
    UNWIND [
        'accepted', 'after', 'allowance', 'assigned_datetime', 'at', 'bucket', 'buckets_assigned',
        'buckets_dead', 'buckets_failed', 'buckets_fault', 'buckets_processed', 'candm', 'capacity',
        'client', 'common', 'compared', 'contained', 'contradicted', 'count', 'counted',
        'create_datetime', 'cursor', 'dead_datetime', 'died', 'differ', 'digest', 'dm', 'dm_differ',
        'dm_from_id', 'dm_from_screen_name', 'dm_pairs', 'dmcheck_aside', 'dmcheck_asked',
        'dmcheck_name', 'dmcheck_needs', 'doubted', 'edit_datetime', 'ended', 'event', 'excused',
        'expires', 'failed', 'failed_by', 'failures', 'faults_judged', 'first', 'heard', 'how',
        'id', 'judged_datetime', 'judged_for', 'kept', 'key', 'last_access_time', 'last_client',
        'last_retries', 'last_round_trips', 'last_rows', 'last_seconds', 'last_statements',
        'last_success_time', 'last_waited_seconds', 'lock', 'name', 'newest', 'next_fetch',
        'non_dm', 'overruled', 'pairs', 'place', 'priority', 'probation', 'processed',
        'processed_judged', 'raised_from', 'reason', 'record', 'refused', 'release',
        'renewed_datetime', 'request', 'round', 'said', 'screen_name', 'second', 'seconds',
        'secret', 'share', 'since', 'sources', 'split', 'state', 'sums', 'suspend_reason',
        'suspended', 'sweeping', 'times', 'turnaround_seconds', 'unjudged', 'unknown', 'unnamed',
        'upgrading', 'users', 'uuid', 'version', 'waiting', 'watched', 'witness'
    ] AS name
    CALL db.createProperty(name)
    RETURN count(*) AS keys
}
RETURN labels + types + keys AS created
