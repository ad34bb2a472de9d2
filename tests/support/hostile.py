"""Texts that somebody may give in order to harm: for every field of every command, document and setting.

`ANY` holds them all, by what they are after. Each is told apart from what a field may hold by the field's own parser;
no test decides that by the payload.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import suppress

CYPHER = (
    "' OR 1=1 //",
    "'}) DETACH DELETE n //",
    '"}) MATCH (n) DETACH DELETE n //',
    "1 MATCH (n) DETACH DELETE n",
    "1; MATCH (n) DETACH DELETE n;",
    "1}) CALL dbms.shutdown() //",
    "x' RETURN 1 UNION MATCH (n) RETURN n //",
    "`) DETACH DELETE (x) //",
    "$id",
    "{id: 1}",
    "\\' SET c.state='ACTIVE' //",
    "a\\u0027}) MATCH (n) DETACH DELETE n //",
    "/* */ OR true",
    "LOAD CSV FROM 'file:///etc/passwd' AS x RETURN x",
    "CALL apoc.load.json('http://127.0.0.1/')",
    "CREATE USER eve SET PASSWORD 'evilevil'",
    "SHOW USERS",
    "null",
    "NaN",
    "true",
    "name:DMCheckClient",
    "elementId(n)",
)
JSON = (
    '"',
    "\\",
    '\\"',
    '"}',
    '", "state": "ACTIVE',
    '{"id": 1}',
    "[1]",
    "[[[[[[[[[[",
    "{}",
    "]}",
    '{"error": {"code": "x"}}',
    '{"$ref": "#"}',
    '"__proto__"',
    "constructor",
    '{"a": 1, "a": 2}',
    "[" * 5000,
    '{"a":' * 5000,
    "Infinity",
    "-Infinity",
    "\\u0000",
    "\\ud800",
    "1e999",
)
SHELL = (
    "; id",
    "| id",
    "|| id",
    "&& id",
    "& id &",
    "$(id)",
    "`id`",
    "${IFS}id",
    "$HOME",
    "~root",
    "~",
    "!!",
    "> pwned",
    ">> pwned",
    "< /etc/passwd",
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned ;",
    "\n touch pwned\n",
    "'; touch pwned; '",
    '"; touch pwned; "',
    "\\\n touch pwned",
    "$'\\x41'",
    "{a,b}",
    "*",
    "?",
    "[a-z]",
    "#",
    "-e id",
    "() { :; }; touch pwned",
    "%COMSPEC%",
    "; exec 3<>/dev/tcp/127.0.0.1/1",
)
OPTIONS = (
    "-",
    "--",
    "---",
    "-h",
    "--help",
    "--version",
    "--json",
    "--format=json",
    "--verbose",
    "--client=1",
    "--client",
    "-oProxyCommand=id",
    "-c",
    "-1",
    "@file",
)
PATHS = (
    ".",
    "..",
    "/",
    "../../../../etc/passwd",
    "/etc/passwd",
    "/etc/shadow",
    "/proc/self/environ",
    "/proc/self/mem",
    "/proc/self/fd/0",
    "/dev/null",
    "/dev/full",
    "//etc//passwd",
    "file:///etc/passwd",
    "C:\\Windows\\win.ini",
    "\\\\host\\share",
    "a/b",
    "a" * 300 + "/b",
    "/" + "a/" * 3000,
    "\0/etc/passwd",
    "x.gz",
    ".env",
)
FORMATS = (
    "%s",
    "%n%n%n%n",
    "%99999999d",
    "%(x)s",
    "{}",
    "{0}",
    "{x}",
    "{0.__class__}",
    "{what}",
    "{client.__init__.__globals__}",
    "{:>99999999}",
    "${x}",
    "$x",
    "{{x}}",
    "{% x %}",
    "<%= x %>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "&lt;",
    "&#0;",
    "[red]x[/red]",
    "[/]",
    "[link=file:///etc/passwd]x[/link]",
    "=cmd|' /C calc'!A0",
    "+1",
    "@SUM(1)",
    "a\tb",
    "a,b",
    'a","b',
)
CONTROL = (
    *(f"a{chr(code)}b" for code in (*range(0x20), *range(0x7F, 0xA0))),
    "a\x1b[2Jb",
    "a\x1b]0;title\x07b",
    "a\x1b[31mb",
    "\x9b2J",
    "a\r\nb",
    "a\nERROR forged line",
    "\b\b\b",
    "\x1bc",
)
UNICODE = (
    *(f"a{one}b" for one in "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"),
    "a\u200bb",
    "a\u00adb",
    "\ufeffa",
    "a\ufeff",
    "\ufffe",
    "\uffff",
    "\U000e0041",
    "a\ud800b",
    "a\udfffb",
    "\ud83d",
    "\udcff\udcfe",
    "\U0001f600",
    "\U0010ffff",
    "\u0661\u0662",
    "\uff11",
    "1\u00b2",
    "\u0430dmin",
    "\u0130",
    "\u00df",
    "e\u0301" * 30,
    "Z\u0351\u036b\u0343" * 20,
    "\u1160",
    "\u3164",
    "\u00a0",
    "\u2003",
)
NUMBERS = (
    "0",
    "-0",
    "-1",
    "+1",
    "00",
    "1.0",
    "1e3",
    "1e999",
    "0x10",
    "0b1",
    "1_000",
    "1,000",
    " 1",
    "1 ",
    "1\n",
    "9223372036854775808",
    "18446744073709551616",
    "-9223372036854775809",
    "9" * 400,
    "9" * 5000,
    "1" + "0" * 100_000,
    "nan",
    "inf",
    "-inf",
    "1/0",
    "2 ** 99",
    "0.1",
    "1" * 19,
)
LONG = (
    "",
    " ",
    "a" * 21,
    "a" * 201,
    "a" * 100_000,
    "@" * 1000,
    "\u00e4" * 70_000,
    "a b " * 1000,
    "\U0001f600" * 50_000,
)

ANY: dict[str, tuple[str, ...]] = {
    "cypher": CYPHER,
    "json": JSON,
    "shell": SHELL,
    "options": OPTIONS,
    "paths": PATHS,
    "formats": FORMATS,
    "controls": CONTROL,
    "unicode": UNICODE,
    "numbers": NUMBERS,
    "lengths": LONG,
}
"""By kind."""


MAX_ARGUMENT = 131_072
"""Bytes, on Linux."""


WHOLE = "DMCHECK_TEST_ALL_PAYLOADS" in os.environ
"""Whether each field is given all of them, and not a third that is drawn for it."""


def payloads(kinds: str = " ".join(ANY)) -> Iterator[str]:
    """Each once, or those of some kinds; unless WHOLE, a third of them."""
    found = list(dict.fromkeys(one for kind in kinds.split() for one in ANY[kind]))
    yield from found if WHOLE else random.sample(found, len(found) // 3)


def arguments() -> Iterator[str]:
    """Those that one argument of a process can hold: no NUL, 128 kB at most, and of surrogates those that stand for
    bytes that are no UTF-8."""
    for one in payloads():
        with suppress(UnicodeEncodeError):
            if "\0" not in one and len(one.encode(errors="surrogateescape")) < MAX_ARGUMENT:
                yield one
