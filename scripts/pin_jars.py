"""Pin the jars of one version of an embedded Neo4j: every jar's coordinate and SHA-256.

    python scripts/pin_jars.py org.neo4j:neo4j 5.26.30

writes `dmcheck_cli/embedded/neo4j-5.26.30.tsv`, by which `dmcheck_cli.embedded.parts` fetches and checks. Run it to
embed another Neo4j version, and review the difference. It takes about ten seconds.

Needs Maven (`mvn`) on the PATH, and the project's `embedded` extra. It uses Maven's own resolver, because jgo's in pure
Python chose other versions for 13 of the 213 jars of 5.26.30, and added test libraries to 2026.08.1.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from environment import enter

enter()

from maven_artifact import Artifact  # type: ignore[import-untyped]

LISTS = Path(__file__).resolve().parent.parent / "dmcheck_cli" / "embedded"

HEADER = (
    "# {group}:{artifact} {version} with all that it needs at run time: {count} jars. Made by scripts/pin_jars.py.\n"
)

POM = """\
<project>
  <modelVersion>4.0.0</modelVersion><groupId>pin</groupId><artifactId>pin</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>
  </dependencies>
</project>
"""

RESOLVED = re.compile(r"\s+(?P<coordinate>[\w.:-]+):(?:compile|runtime):(?P<file>/.*?\.jar)(?: -- .*)?")
"""A line of `dependency:list`: group:artifact:jar[:classifier]:version:scope:file, optionally with a module name."""


def main() -> int:
    """Write the list for the version on the command line; 0 on success."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="GROUP:ARTIFACT", help="what to pin, such as org.neo4j:neo4j")
    parser.add_argument("version", help="its version, such as 5.26.30")
    arguments = parser.parse_args()
    group, _, artifact = arguments.name.partition(":")

    lines = sorted(pin(group, artifact, arguments.version))
    header = HEADER.format(group=group, artifact=artifact, version=arguments.version, count=len(lines))
    path = LISTS / f"{artifact}-{arguments.version}.tsv"
    path.write_text(header + "".join(lines), encoding="utf-8")
    sys.stderr.write(f"{path}: {len(lines)} jars\n")
    return 0


def pin(group: str, artifact: str, version: str) -> list[str]:
    """One line (coordinate, tab, SHA-256) for the artifact and for each of its run-time dependencies."""
    with TemporaryDirectory() as folder:
        Path(folder, "pom.xml").write_text(POM.format(group=group, artifact=artifact, version=version), "utf-8")
        command = ["mvn", "--batch-mode", "--quiet", "dependency:list", "-DincludeScope=runtime"]
        command += ["-DoutputFile=list", "-DoutputAbsoluteArtifactFilename=true"]
        subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        found = RESOLVED.finditer(Path(folder, "list").read_text("utf-8"))
        return [f"{Artifact.parse(one['coordinate'])}\t{_sha256(one['file'])}\n" for one in found]


def _sha256(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
