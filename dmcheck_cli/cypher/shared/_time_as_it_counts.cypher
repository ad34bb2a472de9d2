        // A future time counts as now, a local time or a date as UTC; anything else is not a time.
        CASE
            WHEN n[key] IS :: ZONED DATETIME THEN datetime()
            WHEN n[key] IS :: LOCAL DATETIME THEN datetime({datetime: n[key], timezone: 'Z'})
            WHEN n[key] IS :: DATE THEN datetime({date: n[key], timezone: 'Z'}) END
