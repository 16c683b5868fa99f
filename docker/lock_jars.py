"""Prints docker/jars.lock anew, after a change of Kafka's pom.xml; wants Maven and `make setup`.

PYTHONPATH=src python3.11 docker/lock_jars.py > docker/jars.lock
"""

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from watchnext.local.cache import ARTIFACTS, kafka_jars

HEAD = (
    "# SHA-256 and module of each jar that src/watchnext/local/artifacts/kafka/pom.xml leads to (docker/lock_jars.py)."
)


def main() -> None:
    """Asks Maven for the modules, and the jars that `make setup` fetched for their hashes."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "modules"
        goal = ["dependency:list", f"-DoutputFile={listed}"]
        command = ["mvn", "--batch-mode", "--quiet", "--file", str(ARTIFACTS / "kafka" / "pom.xml"), *goal]
        subprocess.run(command, stdout=sys.stderr, check=True)
        modules = re.findall(r"^ +([^:\s]+):([^:]+):jar:([^:]+):", listed.read_text(), re.MULTILINE)
    print(HEAD)
    for group, artifact, version in sorted(modules):
        jar = kafka_jars() / f"{artifact}-{version}.jar"
        print(f"{hashlib.sha256(jar.read_bytes()).hexdigest()} {group}:{artifact}:{version}")


if __name__ == "__main__":
    main()
