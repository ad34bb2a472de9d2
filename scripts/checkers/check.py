"""A checker in Python: users on stdin, one JSON object a line; the same with `candm` on stdout."""

import json
import os
import sys
import urllib.error
import urllib.request

API = os.environ.get("X_API_URL", "https://api.x.com")
FIELDS = "user.fields=receives_your_dm,connection_status"


def ask(names: list[str]) -> dict:
    """What the API says about up to 100 accounts. Exit status 75: later, `work` gives the users back and waits."""
    url = f"{API}/2/users/by?usernames={','.join(names)}&{FIELDS}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {os.environ['X_USER_TOKEN']}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)
    except (OSError, ValueError) as error:
        sys.exit(f"the API did not answer: {error}" if getattr(error, "code", 429) in (401, 403) else 75)


def answers(told: dict) -> dict[str, str]:
    """The answers by name, in lower case: names are the same whatever their case."""
    found = {}
    for problem in told.get("errors", []):
        if problem["type"].endswith("/resource-not-found"):
            found[problem["value"].lower()] = "UNKNOWN"
    for account in told.get("data", []):
        takes = account.get("receives_your_dm")
        if takes is False:
            found[account["username"].lower()] = "NON_DM"
        elif takes and "followed_by" not in account.get("connection_status", []):
            found[account["username"].lower()] = "DM"  # who follows us takes our messages, perhaps not everyone's
    return found


users = [json.loads(line) for line in sys.stdin]
for start in range(0, len(users), 100):
    group = users[start : start + 100]
    told = answers(ask([user["screen_name"] for user in group]))
    for user in group:
        if user["screen_name"].lower() in told:  # no answer: the user waits again
            user["candm"] = told[user["screen_name"].lower()]
        print(json.dumps(user), flush=True)
