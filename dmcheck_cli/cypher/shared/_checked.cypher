    // Whether the user `u` has an answer in force.
    EXISTS { (u)<-[:DM_YES|DM_NO|DM_UNKNOWN]-() }
