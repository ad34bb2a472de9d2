"""Fetches jars from a Maven repository; each is checked and published in one step."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dmcheck_cli.embedded.files import private_opener
from dmcheck_cli.errors import NotConfigured, Temporary

if TYPE_CHECKING:
    import requests

FETCHERS = 8
"""Parallel connections, each reused: 1 to 2 s for all 213 jars on a fast line; one connection per jar took 24 s."""

CONNECT_SECONDS, READ_SECONDS = 10, 30
"""How long a repository may stay silent."""

REFUSED_BY_PROXY = re.compile(r"Tunnel connection failed: 4\d\d")

WAYS_OUT = "DMCHECK_JARS_URL names a mirror to fetch from, DMCHECK_JARS_FOLDER a folder that has the jars."


@dataclass(frozen=True)
class Part:
    """One jar: its file name, its path in a Maven repository (`/` between), its required SHA-256."""

    name: str
    path: str
    sha256: str


def default_repository() -> str:
    """Maven Central's address, from the library maven-artifact."""
    from maven_artifact import Downloader  # type: ignore[import-untyped]

    return str(Downloader().resolver.base)


def fetch(parts: Iterable[Part], repository: str, folder: Path, advance: Callable[[], None]) -> None:
    """Fetch `parts` into `folder`, calling `advance` for each.

    A jar appears there under its name only once it is complete and matches its pin, so after any interruption the next
    call continues where this one stopped. Only one process at a time may fetch into a folder.
    Raises Temporary for network trouble, NotConfigured when the repository lacks the jar or has a different one.
    """
    for left_over in folder.glob("*.part"):
        left_over.unlink()
    waiting = deque(parts)

    def work() -> None:
        with _session() as session:
            while True:
                try:
                    part = waiting.popleft()
                except IndexError:
                    return
                _fetch_one(session, part, repository, folder)
                advance()

    with ThreadPoolExecutor(FETCHERS) as pool:
        workers = [pool.submit(work) for _ in range(min(FETCHERS, len(waiting)))]
        try:
            for worker in workers:
                worker.result()
        finally:
            waiting.clear()  # after an error or Ctrl-C, the others stop at their next jar


def _session() -> requests.Session:
    import requests
    from urllib3.util import Retry

    session = requests.Session()
    retry = Retry(total=3, backoff_factor=0.5, status_forcelist=(429, 502, 503, 504), raise_on_status=False)
    for scheme in ("https://", "http://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=retry))
    return session


def _fetch_one(session: requests.Session, part: Part, repository: str, folder: Path) -> None:
    import requests
    from urllib3.exceptions import HTTPError

    temporary = folder / f"{part.name}.part"
    digest = hashlib.sha256()
    try:
        with _response(session, f"{repository.rstrip('/')}/{part.path}") as response:
            response.raise_for_status()
            with open(temporary, "wb", opener=private_opener) as file:
                for chunk in response.iter_content(1 << 16):
                    digest.update(chunk)
                    file.write(chunk)
    except (requests.RequestException, HTTPError, ValueError) as error:  # the last two: an invalid proxy address
        raise _not_fetched(part, error) from error
    if digest.hexdigest() != part.sha256:
        temporary.unlink()
        raise NotConfigured(
            what=f"{part.name} came with another content than the pinned one (its SHA-256 is {digest.hexdigest()}, "
            f"not {part.sha256}), so the embedded database was not started. {WAYS_OUT}"
        )
    temporary.replace(folder / part.name)


def _response(session: requests.Session, url: str) -> requests.Response:
    import requests

    try:
        return session.get(url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS))
    except OSError as error:
        if isinstance(error, requests.RequestException) or error.errno is not None:
            raise
        # requests raises this for a missing file; nothing else distinguishes it.
        raise NotConfigured(
            what="The jars of the embedded database cannot be fetched: the file of certificates that "
            "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names is not there or cannot be read. Put it right, or unset it."
        ) from error


def _not_fetched(part: Part, error: Exception) -> NotConfigured | Temporary:
    # Show neither an address nor requests' own text: a mirror's or a proxy's may contain a password.
    import requests

    response = getattr(error, "response", None)
    if response is None:
        reason = type(error).__name__
        refused = REFUSED_BY_PROXY.search(str(error)) is not None
        lasting = refused or isinstance(error, ValueError | requests.exceptions.SSLError)
    else:
        reason = f"HTTP {response.status_code}"
        lasting = 400 <= response.status_code < 500 and response.status_code not in (408, 429)
    kind = NotConfigured if lasting else Temporary
    return kind(
        what=f"{part.name}, a part of the embedded database, could not be fetched ({reason}). {_hint(error)}{WAYS_OUT}"
    )


def _hint(error: Exception) -> str:
    """What to check before blaming the repository; empty when there is nothing."""
    from urllib.request import getproxies

    import requests

    if isinstance(error, requests.exceptions.SSLError):
        return "The certificate was not accepted: REQUESTS_CA_BUNDLE names the file with those to trust. "
    if getattr(error, "response", None) is None and getproxies():
        return "A proxy is set, by HTTPS_PROXY, HTTP_PROXY or ALL_PROXY: see that it is right. "
    return ""
