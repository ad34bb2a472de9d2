           // An id that another program stored as no whole number from 1 up is given out as not known.
           CASE WHEN u.id IS :: INTEGER AND u.id > 0 THEN u.id END
