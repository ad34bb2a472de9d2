       // A client as reported.
       c {
           .id, screen_name: toStringOrNull(c.screen_name),
           state: CASE WHEN c.suspended IS NULL THEN toStringOrNull(c.state) ELSE 'SUSPENDED' END,
           capacity: coalesce(toIntegerOrNull(c.capacity), $limits.start_allowance),
           dm_from_id: toIntegerOrNull(c.dm_from_id),
           dm_from_screen_name: toStringOrNull(c.dm_from_screen_name),
           first_registered: toStringOrNull(c.create_datetime), last_registered: toStringOrNull(c.edit_datetime),
           suspended: toStringOrNull(c.suspended), reason: toStringOrNull(c.suspend_reason)
       } AS client
