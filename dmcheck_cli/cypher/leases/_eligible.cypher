            // Not what this client had last: that comes after its equals.
            AND coalesce(b.last_client <> $client, true)
