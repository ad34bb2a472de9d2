       // A client as it is reported.
       c {
           .id, .screen_name, .state, .capacity, .dm_from_id, .dm_from_screen_name,
           first_registered: toString(c.create_datetime), last_registered: toString(c.edit_datetime)
       } AS client
