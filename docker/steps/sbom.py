"""sbom.py NAME VERSION: writes what this image holds to /usr/share/watchnext/sbom.cdx.json, as CycloneDX 1.6.

Python packages as CycloneDX's own tool finds them, with licences and what wants what; Debian packages from dpkg's
list; Kafka's jars by jars.lock. Without time or serial number: the same image gives the same file. Run by `python -I`,
so that the tool's packages, mounted at /opt/tools, and the image's do not mix.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

TOOLS: Final = "/opt/tools"
JARS: Final = Path("/opt/kafka/libs")
LOCK: Final = Path("/context/jars.lock")
SBOM: Final = Path("/usr/share/watchnext/sbom.cdx.json")
sys.path.insert(0, TOOLS)

from cyclonedx.schema import SchemaVersion  # noqa: E402 # from the tools
from cyclonedx.validation.json import JsonStrictValidator  # noqa: E402
from packageurl import PackageURL  # noqa: E402


def main(name: str, version: str) -> None:
    """Merges the three lists, checks the result against CycloneDX's schema, writes it."""
    bom = python_bom()
    root = str(PackageURL("oci", None, name, version))
    bom["metadata"]["component"] = {"type": "container", "bom-ref": root, "name": name, "version": version}
    found = [*debian_packages(), *kafka_jars()]
    bom["components"] = [*bom.get("components", []), *found]
    wanted = sorted(component["bom-ref"] for component in bom["components"])
    bom["dependencies"] = [
        {"ref": root, "dependsOn": wanted},
        *bom.get("dependencies", []),
        *({"ref": component["bom-ref"]} for component in found),
    ]
    text = json.dumps(bom, indent=1)
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(f"the SBOM breaks CycloneDX's schema: {wrong}")
    SBOM.parent.mkdir(parents=True, exist_ok=True)
    SBOM.write_text(text)


def python_bom() -> dict[str, Any]:
    """What `cyclonedx-py environment` says of this interpreter's packages, those on PYTHONPATH too."""
    code = f"import runpy, sys; sys.path.insert(0, {TOOLS!r}); runpy.run_module('cyclonedx_py', run_name='__main__')"
    arguments = ["environment", "--sv", "1.6", "--output-reproducible", "/usr/bin/python3.11"]
    said = subprocess.run([sys.executable, "-I", "-c", code, *arguments], capture_output=True, text=True, check=False)
    if said.returncode:
        raise ValueError(f"cyclonedx-py failed (exit {said.returncode}): {said.stderr[-2000:]}")
    bom: dict[str, Any] = json.loads(said.stdout)
    return bom


def debian_packages() -> list[dict[str, Any]]:
    """One component a package of dpkg."""
    form = "${Package} ${Version} ${Architecture} ${source:Package} ${source:Version}\n"
    said = subprocess.run(["dpkg-query", "--show", "--showformat", form], capture_output=True, text=True, check=True)
    suite = next(
        line for line in Path("/etc/os-release").read_text().splitlines() if line.startswith("VERSION_CODENAME")
    )
    components = []
    for package, version, architecture, source, source_version in map(str.split, said.stdout.splitlines()):
        where = {"arch": architecture, "distro": suite.partition("=")[2]}
        upstream = [{"name": "debian:source", "value": f"{source} {source_version}"}]
        purl = PackageURL("deb", "debian", package, version, where)
        components.append(_component(purl, package, version) | {"properties": upstream})
    return components


def kafka_jars() -> list[dict[str, Any]]:
    """One component a jar, where the image has Kafka: `jars.sh` saw that folder and lock say the same."""
    components = []
    lines = LOCK.read_text().splitlines() if JARS.is_dir() else []
    for digest, module in (line.split() for line in lines if not line.startswith("#")):
        group, artifact, version = module.split(":")
        purl = PackageURL("maven", group, artifact, version)
        hashes = [{"alg": "SHA-256", "content": digest}]
        components.append(_component(purl, artifact, version) | {"group": group, "hashes": hashes})
    return components


def _component(purl: PackageURL, name: str, version: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": str(purl), "purl": str(purl), "name": name, "version": version}


if __name__ == "__main__":
    main(*sys.argv[1:])
