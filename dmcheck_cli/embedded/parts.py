"""The jars of an embedded Neo4j: which ones, where they are, and whether they are the right ones.

`neo4j-VERSION.tsv` beside this file pins them: one Maven coordinate and SHA-256 per line (scripts/pin_jars.py).
"""

from __future__ import annotations

from pathlib import Path

from dmcheck_cli.embedded.fetching import WAYS_OUT, Part, default_repository, fetch
from dmcheck_cli.embedded.files import locked, make_private_folder, sha256
from dmcheck_cli.embedded.folders import cache_folder
from dmcheck_cli.embedded.remedies import CACHE, JARS, using
from dmcheck_cli.errors import NotConfigured, Temporary
from dmcheck_cli.notices import Progress
from dmcheck_cli.settings import Settings, expanded

LISTS = Path(__file__).parent

DEFAULT_VERSION = "5.26.30"
"""The latest patch of the long-term support release; the reference."""

SECONDS_FOR_ANOTHERS_FETCH = 600
"""How long to wait while another process fetches: 128 MB take 9 minutes at 2 Mbit/s."""


def pinned(version: str) -> list[Part]:
    """The parts of a Neo4j version, by file name; raises NotConfigured for a version that is not pinned."""
    from maven_artifact import Artifact  # type: ignore[import-untyped]

    path = LISTS / f"neo4j-{version}.tsv"
    if not path.is_file():
        known = ", ".join(sorted(one.stem.removeprefix("neo4j-") for one in LISTS.glob("neo4j-*.tsv")))
        raise NotConfigured(what=f"Neo4j {version} cannot be embedded; these can: {known}.")
    parts = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            coordinate, sha256 = line.split("\t")
            folder, _, name = Artifact.parse(coordinate).uri("").lstrip("/").rpartition("/")
            parts.append(Part(name, f"{folder}/{name}", sha256))
    return sorted(parts, key=lambda part: part.name)


def jars(settings: Settings, version: str, progress: Progress, seconds: float | None = None) -> list[Path]:
    """The jars of a Neo4j version, in class path order; fetched if need be, and each one just checked.

    With `seconds`, it fetches nothing, and waits at most that long for another process that is fetching.

    Checking all 128 MB before each start took 0.11 s of 4 to 5 s: cheap enough to do always.
    Raises NotConfigured, naming the jar, for one that does not match its pin or that DMCHECK_JARS_FOLDER lacks, and for
    an unusable folder; Temporary when the network fails or there is no room.
    a folder that cannot be used; Temporary when the network fails or there is no room.
    """
    parts = pinned(version)
    if settings.jars_folder is not None:
        given = expanded("DMCHECK_JARS_FOLDER", settings.jars_folder)
        with using(JARS, given):
            return _from_folder(parts, given.absolute())
    folder = cache_folder() / f"neo4j-{version}"
    with using(CACHE, folder):
        make_private_folder(folder)
        with locked(folder / "lock", SECONDS_FOR_ANOTHERS_FETCH if seconds is None else seconds):
            # A cached jar that does not match its pin (a full disk, a power cut) counts as missing.
            missing = [part for part in parts if sha256(folder / part.name) != part.sha256]
            if missing and seconds is not None:
                raise Temporary(what=f"{folder} lacks {missing[0].name}, which the next command fetches again.")
            if missing:
                with progress.counting(f"Fetching the jars of Neo4j {version}, this once", len(missing)) as advance:
                    fetch(missing, settings.jars_url or default_repository(), folder, advance)
    return [folder / part.name for part in parts]


def _from_folder(parts: list[Part], folder: Path) -> list[Path]:
    found = []
    for part in parts:
        # In one flat folder, or laid out as in a Maven repository.
        file = next((one for one in (folder / part.name, folder / part.path) if one.is_file()), None)
        if file is None:
            raise NotConfigured(what=f"DMCHECK_JARS_FOLDER ({folder}) has no {part.name}.")
        if sha256(file) != part.sha256:
            raise NotConfigured(what=f"{file} is not the pinned {part.name}: its SHA-256 differs. {WAYS_OUT}")
        found.append(file)
    return found
