            // Not this client's last bucket: that ranks after its equals.
            AND coalesce(b.last_client <> $client, true)
            // include: _independent
