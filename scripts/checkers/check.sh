#!/bin/sh
# A checker in shell, with curl and jq: users on stdin, one JSON object a line; the same with `candm` on stdout.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/users"

# Up to 100 accounts a request. Exit status 75: later, `work` gives the users back and waits.
jq -r .screen_name "$folder/users" | xargs -n 100 | tr ' ' ',' | while read -r names; do
    curl -fsS -H "Authorization: Bearer $X_USER_TOKEN" \
        "${X_API_URL:-https://api.x.com}/2/users/by?usernames=$names&user.fields=receives_your_dm,connection_status" \
        || exit 75
done > "$folder/told"

# Names are the same whatever their case. `id` is left out: jq 1.6 rounds it, `id_str` is exact.
# Who follows us takes our messages, perhaps not everyone's: no answer, so the user waits again.
jq -c --slurpfile told "$folder/told" '
    ([$told[].data // [] | .[] | {key: (.username | ascii_downcase), value: .}] | from_entries) as $found
    | [$told[].errors // [] | .[] | select(.type | endswith("/resource-not-found")) | .value | ascii_downcase] as $gone
    | (.screen_name | ascii_downcase) as $name
    | $found[$name] as $account
    | del(.id)
    | if $gone | index([$name]) then .candm = "UNKNOWN"
      elif $account.receives_your_dm == false then .candm = "NON_DM"
      elif $account.receives_your_dm and ($account.connection_status // [] | index(["followed_by"]) | not)
      then .candm = "DM"
      else . end' "$folder/users"
