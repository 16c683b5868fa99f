"""The rules that `docker/Dockerfile` keeps, read off its text and that of its steps by means of the test's own."""

import importlib.util
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import watchnext
from watchnext.local.prepare import UV

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
TARGETS = ("serving", "stream", "pipelines", "torchserve", "kafka")
OURS = ("feature_repo", "model_handlers", "pipelines", "serving", "src/watchnext")


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its text, on one line."""
    lines = [line for line in (DOCKER / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in whole.splitlines() if line]


def stages() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Of each stage: what it starts from, and its own instructions."""
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    for word, text in instructions():
        if word == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", text).groups()  # type: ignore[union-attr] # a miss fails
            found[name] = (base, [])
        else:
            found[name][1].append((word, text))
    return found


def read_by(word: str, text: str) -> list[str]:
    """The paths of the repository that an instruction reads."""
    if word == "COPY":
        return [] if "--from" in text else [text.split()[0]]
    mounts = [mount for mount in re.findall(r"--mount=(\S+)", text) if "from=" not in mount]
    return [source for mount in mounts for source in re.findall(r"source=([^,]+)", mount)] if word == "RUN" else []


READ = sorted({path for word, text in instructions() for path in read_by(word, text)})


def test_every_base_is_an_earlier_stage_or_a_dated_tag() -> None:
    known: set[str] = set()
    for name, (base, _) in stages().items():
        assert base in known or re.fullmatch(r"debian:bookworm-\d{8}-slim", base), f"{name} starts from {base}"
        known.add(name)
    assert known >= set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_ends_as_our_user_with_a_command(target: str) -> None:
    words = [word for word, _ in stages()[target][1]]
    assert stages()[target][1][-2] == ("USER", "10001:10001")
    assert words[-1] == "CMD"
    assert words.count("USER") == 1


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_labelled(target: str) -> None:
    labels = dict(
        pair
        for stage in ("system", target)
        for word, text in stages()[stage][1]
        if word == "LABEL"
        for pair in re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', text)
    )
    assert labels == {
        "licenses": "Apache-2.0",
        "title": f"watchnext-{target}",
        "version": "${VERSION}",
        "revision": "${REVISION}",
        "source": "${SOURCE}",
    }
    defaults = dict(text.split("=") for word, text in stages()[target][1] if word == "ARG")
    assert defaults == {"VERSION": watchnext.__version__, "REVISION": "unknown", "SOURCE": "unknown"}


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_lists_its_contents_last_of_all_steps(target: str) -> None:
    steps = [text for word, text in stages()[target][1] if word in ("RUN", "COPY")]
    assert steps[-1].endswith(f'python3.11 -I /steps/sbom.py watchnext-{target} "$VERSION"')


def test_nothing_is_fetched_but_by_package_managers() -> None:
    texts = [DOCKER / "Dockerfile", *(DOCKER / "steps").iterdir()]
    assert "ADD" not in {word for word, _ in instructions()}
    assert not [
        file for file in texts if file.is_file() and re.search(r"\b(curl|wget)\b|https?://|git\+", file.read_text())
    ]


def test_python_packages_come_with_their_hashes() -> None:
    scripts = [file.read_text().replace("\\\n", "") for file in (DOCKER / "steps").glob("*.sh")]
    installs = [line for text in scripts for line in text.splitlines() if "pip install" in line]
    assert len(installs) == 2
    assert all("--require-hashes" in line for line in installs)


def test_no_secret_is_written_down() -> None:
    named = re.compile(r"(?i)password|passwd|secret|token|credential|api_?key")
    assert not [text for word, text in instructions() if word in ("ARG", "ENV", "LABEL") and named.search(text)]
    assert "secret" not in {kind for _, text in instructions() for kind in re.findall(r"--mount=type=(\w+)", text)}


@pytest.mark.parametrize("path", READ)
def test_what_a_build_reads_is_there_and_not_ignored(path: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    assert (ROOT / path).exists()
    assert "*" in ignored
    assert any(path == entry or path.startswith(f"{entry}/") for entry in let_in)


def test_bytecode_of_this_machine_is_ignored() -> None:
    assert (ROOT / ".dockerignore").read_text().splitlines()[-1] == "**/__pycache__"


def test_a_change_of_code_makes_no_download_anew() -> None:
    code = set(OURS) | {"code"}
    pom = "src/watchnext/local/artifacts/kafka/pom.xml"
    for name, (base, own) in stages().items():
        changed = base in code
        for word, text in own:
            reads_code = "--from=code" in text or any(
                path != pom and path.startswith(OURS) for path in read_by(word, text)
            )
            changed = changed or reads_code
            downloads = word == "RUN" and "--network=none" not in text
            assert not (downloads and changed), f"{name}: {text}"


def test_an_argument_of_each_commit_comes_after_the_downloads() -> None:
    for name in TARGETS:
        own = stages()[name][1]
        first = [word for word, _ in own].index("ARG")
        assert not [text for word, text in own[first:] if word == "RUN" and "--network=none" not in text]


@pytest.mark.parametrize("script", sorted(file.relative_to(DOCKER).as_posix() for file in DOCKER.rglob("*.sh")))
def test_a_script_is_valid_and_stops_at_its_first_error(script: str) -> None:
    checked = subprocess.run(["sh", "-n", DOCKER / script], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    text = (DOCKER / script).read_text()
    commands = [line for line in text.replace("\\\n", " ").splitlines() if not line.startswith("#")]
    assert commands[0] == "set -eu" or (len(commands) == 1 and commands[0].startswith("exec "))


def test_uv_is_the_one_of_set_up() -> None:
    assert f"{UV} \\" in (DOCKER / "tools.lock").read_text()
    assert UV in (DOCKER / "tools.in").read_text().split()


def test_the_tools_are_locked_with_hashes() -> None:
    entries = re.split(r"\n(?=\w)", (DOCKER / "tools.lock").read_text())[1:]
    assert any(entry.startswith("cyclonedx-bom==") for entry in entries)
    assert all(re.match(r"[\w.-]+==[\w.]+ \\\n +--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)


def test_the_licence_is_the_projects() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"] == "Apache-2.0"


@pytest.mark.parametrize("target", TARGETS)
def test_a_command_that_names_a_module_names_one_that_is_there(target: str) -> None:
    command = json.loads(dict(stages()[target][1])["CMD"])
    if "-m" in command:
        assert importlib.util.find_spec(command[command.index("-m") + 1]) is not None
