    // The times in the list `found` as date-times in UTC, where they are texts (2020-07-11_09:19:48.546000, with T or a
    // blank instead of _, with Z or +05:45) or have no zone. A 30th of February is two days after the 28th. Others stay as
    // they are.
    [t IN found | CASE
        WHEN t IS :: LOCAL DATETIME NOT NULL THEN datetime({datetime: t, timezone: '+00:00'})
        WHEN t IS :: STRING NOT NULL AND t =~ '[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[_T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-](0[0-9]|1[0-7]):[0-5][0-9])?'
            THEN datetime({timezone: '+00:00', datetime: datetime({
                date: date(left(t, 7) + '-01') + duration({days: toInteger(substring(t, 8, 2)) - 1}),
                time: localtime(split(split(replace(substring(t, 11), 'Z', ''), '+')[0], '-')[0]),
                timezone: CASE WHEN t =~ '.*[+-][0-9]{2}:[0-9]{2}' THEN right(t, 6) ELSE '+00:00' END})})
        ELSE t END]
