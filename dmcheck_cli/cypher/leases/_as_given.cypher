       // The bucket `b` as handed out, with the users whose names can be looked up.
       toStringOrNull(b.uuid) AS bucket, toStringOrNull(b.newest) AS lease, [(b)<-[:INDMCHECKBUCKET]-(u)
           WHERE u.screen_name =~ '\\w{1,20}' | [u.screen_name, u.id]] AS users,
       toIntegerOrNull(b.priority) AS priority, toStringOrNull(b.expires) AS expires
