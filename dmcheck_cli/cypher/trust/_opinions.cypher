    // The opinions on the user `u` that may count, in the order in which they came.
    MATCH (u)<-[r:DM_YES|DM_NO|DM_UNKNOWN|DM_SECOND]-(c)
