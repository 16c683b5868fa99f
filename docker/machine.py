"""What `docker/fill` does with this machine's own programs: debootstrap, chroot, namespaces. As root, on Debian."""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path, PurePosixPath
from typing import Final

from recipe import Run

from watchnext.errors import PrerequisiteError, WatchnextError

PROGRAMS: Final = ("debootstrap", "apt-get", "chroot", "unshare", "ip")
PASSED: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL", "UV_INDEX_URL")  # where downloads come from
AUTHORITIES: Final = PurePosixPath("/run/machine-authorities.crt")
SEARCHED: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class FillError(WatchnextError):
    """A step failed, or the folder cannot be filled."""


def require_programs() -> None:
    """Sees that this machine can fill folders.

    Raises:
        PrerequisiteError: not root, or a program is missing.
    """
    if os.geteuid() != 0:
        raise PrerequisiteError("docker/fill makes system folders by chroot: run it as root")
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        raise PrerequisiteError(
            f"missing on this machine: {', '.join(missing)}; docker/fill runs on Debian and Ubuntu, with "
            "`apt install debootstrap iproute2`"
        )


def debootstrap(system: str, root: Path) -> None:
    """Makes `root` the smallest Debian of `system` (`debian:SUITE-DATE-slim`), with nothing of this machine in it.

    Raises:
        FillError: another system, or debootstrap failed.
    """
    suite = re.fullmatch(r"debian:([a-z]+)-\d+-slim", system)
    if suite is None:
        raise FillError(f"FROM {system}: docker/fill can make debian:SUITE-DATE-slim only")
    mirror = mirrors(suite.group(1))[0].split()[1]
    checked(["debootstrap", "--variant=minbase", suite.group(1), str(root), mirror])
    for left in ("etc/apt/sources.list", "etc/hostname", "etc/resolv.conf"):
        (root / left).unlink(missing_ok=True)
    for folder in ("dev", "proc", "sys", "run", "tmp", "var/cache/apt", "var/lib/apt/lists", "var/log"):
        shutil.rmtree(root / folder)
        (root / folder).mkdir()
    (root / "tmp").chmod(0o1777)


def mirrors(suite: str) -> list[str]:
    """The `deb` lines of this machine's apt for a suite, its updates and its security updates, in this order.

    Raises:
        PrerequisiteError: apt has no line for the suite.
    """
    targets = checked(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    )
    suites = (suite, f"{suite}-updates", f"{suite}-security")
    lines = {f"deb {line}" for line in targets.splitlines() if line.split()[1] in suites and line.endswith(" main")}
    if not any(line.split()[2] == suite for line in lines):
        raise PrerequisiteError(f"this machine's apt has no mirror of Debian {suite}: add one to its sources")
    return sorted(lines, key=lambda line: suites.index(line.split()[2]))


def run(step: Run, root: Path, sources: list[tuple[Path, PurePosixPath]]) -> None:
    """Runs the step's command in `root`, in namespaces of its own: its mounts and processes end with it.

    Args:
        step: the command.
        root: the folder that is `/` to it.
        sources: what of this machine it sees, and where; read-only, but for the caches.

    Raises:
        FillError: it ended with another code than 0; the message carries what it said.
    """
    caches = {mount.target for mount in step.mounts if mount.kind == "cache"}
    with tempfile.TemporaryDirectory() as temporary:
        binds = [(Path("/dev"), PurePosixPath("/dev")), *sources]
        environment = {"HOME": "/root", "PATH": SEARCHED, **dict(step.environment)}
        if step.network:
            online, variables = _network(root, Path(temporary))
            binds += online
            environment |= variables
        place = shlex.quote(str(root))
        lines = ["ip link set lo up", f"mount -t proc proc {place}/proc", f"mount -t tmpfs tmpfs {place}/tmp"]
        for source, target in binds:
            options = "bind" if target in caches or target.name == "dev" else "bind,ro"
            lines.append(f"mount -o {options} {shlex.quote(str(source))} {shlex.quote(f'{root}{target}')}")
        pairs = shlex.join(f"{name}={value}" for name, value in environment.items())
        lines.append(f"exec chroot {place} env -i {pairs} sh -c {shlex.quote(step.command)}")
        apart = ["--mount", "--propagation=private", "--pid", "--fork", "--kill-child"]
        made = [_mount_point(root, target, folder=source.is_dir()) for source, target in binds]
        try:
            unshared = ["unshare", *apart, *([] if step.network else ["--net"])]
            checked([*unshared, "sh", "-ec", "\n".join(lines)], f"RUN {step.command}")
        finally:
            for path in filter(None, reversed(made)):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def checked(command: list[str], what: str = "") -> str:
    """What a program wrote to its standard output; `what` names it in an error, in place of its command line.

    Raises:
        FillError: it ended with another code than 0.
    """
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        said = (ended.stdout + ended.stderr).strip()[-2000:]
        raise FillError(f"{what or ' '.join(command)} failed (exit {ended.returncode}):\n{said}")
    return ended.stdout


def _network(root: Path, temporary: Path) -> tuple[list[tuple[Path, PurePosixPath]], dict[str, str]]:
    """What a step that downloads sees of this machine: its mirrors, names and certificate authorities."""
    system = dict(line.split("=", 1) for line in (root / "etc/os-release").read_text().splitlines())
    listed = temporary / "sources.list"
    listed.write_text("".join(f"{line}\n" for line in mirrors(system["VERSION_CODENAME"])))
    binds = [
        (listed, PurePosixPath("/etc/apt/sources.list")),
        (Path("/etc/resolv.conf").resolve(), PurePosixPath("/etc/resolv.conf")),
    ]
    variables = {name: os.environ[name] for name in PASSED if name in os.environ}
    if authorities := os.environ.get("SSL_CERT_FILE"):
        binds.append((Path(authorities).resolve(), AUTHORITIES))
        variables |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT"), str(AUTHORITIES))
    return binds, variables


def _mount_point(root: Path, target: PurePosixPath, *, folder: bool) -> Path | None:
    """Makes the place of a mount; returns the outermost path that was not there before, to be removed after."""
    place = root
    outermost = None
    for part in target.relative_to("/").parts:
        place = place / part
        if outermost is None and not place.exists():
            outermost = place
    if outermost is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir() if folder else place.touch()
    return outermost
