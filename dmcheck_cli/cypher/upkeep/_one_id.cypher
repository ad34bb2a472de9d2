    // The id of a client `c`, also where another system stored it as a text: `id`.
    WITH c, CASE WHEN c.id =~ '[0-9]{1,19}' THEN coalesce(toIntegerOrNull(c.id), c.id) ELSE c.id END AS id
