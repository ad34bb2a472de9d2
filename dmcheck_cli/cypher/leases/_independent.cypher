            // Nobody is asked for a second opinion on a user whom it, or who has its `dm_from_id`, answered before.
            AND NOT coalesce($client IN b.heard OR c.dm_from_id IN b.sources, false)
