"""`docker/recipe.py` reads a Dockerfile as an engine does, and refuses what `docker/fill` would leave out."""

import sys
from pathlib import Path, PurePosixPath

import pytest

DOCKER = Path(__file__).parents[2] / "docker"
sys.path.insert(0, str(DOCKER))
from recipe import DOCKERFILE, Copy, Mount, RecipeError, Run, read  # noqa: E402 # `docker/fill` has it beside itself

TEXT = """\
# A comment
FROM debian:bookworm-20250929-slim AS base
ENV COLOUR=red
RUN --network=none \\
    --mount=type=bind,source=a.sh,target=/a.sh \\
    sh /a.sh "$SIZE"

FROM base AS other
COPY b /b

FROM base AS last
ARG SIZE=small
ENV SHAPE=round
RUN --mount=type=cache,target=/root/.cache/c --mount=type=bind,from=other,source=/b,target=/b sh -c b
COPY --from=other /b /opt/b
LABEL size="${SIZE}" kind="a b"
USER 10001:10001
WORKDIR /tmp
CMD ["sh", "-c"]
"""


def test_a_stage_has_the_steps_of_those_that_it_builds_on() -> None:
    stages = read(TEXT, {})
    first = Run(
        'sh /a.sh "$SIZE"',
        (Mount("bind", PurePosixPath("/a.sh"), "a.sh"),),
        network=False,
        environment=(("COLOUR", "red"),),
    )
    mounts = (Mount("cache", PurePosixPath("/root/.cache/c")), Mount("bind", PurePosixPath("/b"), "/b", "other"))
    variables = (("COLOUR", "red"), ("SHAPE", "round"), ("SIZE", "small"))
    assert list(stages) == ["base", "other", "last"]
    assert stages["base"].steps == (first,)
    assert stages["other"].steps == (first, Copy("b", PurePosixPath("/b")))
    assert stages["last"].steps == (
        first,
        Run("sh -c b", mounts, environment=variables),
        Copy("/b", PurePosixPath("/opt/b"), "other"),
    )
    assert {stage.system for stage in stages.values()} == {"debian:bookworm-20250929-slim"}


def test_the_configuration_is_that_of_an_oci_image() -> None:
    assert read(TEXT, {"SIZE": "big"})["last"].config == {
        "Env": ["COLOUR=red", "SHAPE=round"],
        "Labels": {"size": "big", "kind": "a b"},
        "User": "10001:10001",
        "WorkingDir": "/tmp",
        "Cmd": ["sh", "-c"],
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ADD x /x", "the instruction ADD is not known"),
        ("RUN --security=insecure true", "RUN --security=insecure is not known"),
        ("RUN --mount=type=ssh,target=/x true", "a mount of type ssh"),
        ("RUN --mount=type=bind,source=a,target=/x,rw=true true", "rw"),
        ("COPY --chown=1 a /a", "COPY --chown=1 a /a is not known"),
        ("COPY a b /c", "COPY a b /c is not known"),
    ],
)
def test_a_line_that_fill_cannot_do_is_an_error(line: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        read(f"FROM debian:bookworm-20250929-slim AS base\n{line}\n", {})


def test_an_argument_that_no_line_takes_is_an_error() -> None:
    with pytest.raises(RecipeError, match="COLOR: no ARG of the Dockerfile"):
        read(TEXT, {"COLOR": "red"})


SYSTEM = "sh /steps/system.sh"
PACKAGES = "/opt/watchnext/site-packages"
WRAPPER = "docker/bin/watchnext"
JAVA = "sh /steps/apt.sh openjdk-17-jre-headless"
SBOM = 'python3.11 -I /steps/sbom.py watchnext-{} "$VERSION"'


@pytest.mark.parametrize(
    ("target", "steps"),
    [
        ("serving", [SYSTEM, PACKAGES, WRAPPER, "/opt/watchnext/app", SBOM]),
        ("stream", [SYSTEM, PACKAGES, WRAPPER, "/opt/watchnext/app", SBOM]),
        ("pipelines", [SYSTEM, PACKAGES, WRAPPER, "/opt/watchnext/app", SBOM]),
        ("torchserve", [SYSTEM, PACKAGES, WRAPPER, JAVA, "/opt/watchnext/app", SBOM]),
        ("kafka", [SYSTEM, JAVA, "/opt/kafka/libs", "docker/kafka", SBOM]),
    ],
)
def test_the_steps_of_a_target(target: str, steps: list[str]) -> None:
    found = read(DOCKERFILE.read_text(), {})[target].steps
    assert [step.command if isinstance(step, Run) else step.source for step in found] == [
        step.format(target) for step in steps
    ]
