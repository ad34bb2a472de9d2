// A checker in JavaScript (Node 18 or newer): users on stdin, one JSON object a line; the same with `candm` on stdout.
import { readFileSync } from "node:fs";

const api = process.env.X_API_URL ?? "https://api.x.com";
const fields = "user.fields=receives_your_dm,connection_status";

// Up to 100 accounts a request. Exit status 75: later, `work` gives the users back and waits.
async function ask(names) {
  const headers = { Authorization: `Bearer ${process.env.X_USER_TOKEN}` };
  const response = await fetch(`${api}/2/users/by?usernames=${names.join(",")}&${fields}`, { headers });
  if (!response.ok) process.exit([401, 403].includes(response.status) ? 1 : 75);
  return response.json();
}

// The answers by name, in lower case: names are the same whatever their case.
function answers(told) {
  const found = new Map();
  for (const problem of told.errors ?? [])
    if (problem.type.endsWith("/resource-not-found")) found.set(problem.value.toLowerCase(), "UNKNOWN");
  for (const account of told.data ?? []) {
    const name = account.username.toLowerCase();
    if (account.receives_your_dm === false) found.set(name, "NON_DM");
    // Who follows us takes our messages, perhaps not everyone's: no answer, so the user waits again.
    else if (account.receives_your_dm && !account.connection_status?.includes("followed_by")) found.set(name, "DM");
  }
  return found;
}

// JSON.parse rounds large ids: `id` is left out, `id_str` is exact.
const lines = readFileSync(0, "utf8").split("\n").filter(Boolean);
const users = lines.map((line) => ({ ...JSON.parse(line), id: undefined }));
for (let start = 0; start < users.length; start += 100) {
  const group = users.slice(start, start + 100);
  const told = answers(await ask(group.map((user) => user.screen_name)));
  for (const user of group) console.log(JSON.stringify({ ...user, candm: told.get(user.screen_name.toLowerCase()) }));
}
