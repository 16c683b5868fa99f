"""The gateway's list follows the pointer, and outlives the store."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.unit.generation.world import NOW_MS, parts
from watchnext.clock import FixedClock
from watchnext.errors import GenerationError
from watchnext.generation.build import build_generation
from watchnext.generation.manifest import Pointer, Target
from watchnext.generation.static import STATIC, StaticList
from watchnext.generation.store import GenerationStore


@pytest.fixture
def store(tmp_path: Path) -> GenerationStore:
    return GenerationStore(str(tmp_path / "generations"), clock=FixedClock(NOW_MS))


def published(store: GenerationStore, seed: int) -> Target:
    target = build_generation(store, parts(seed=seed)).target
    store.write_pointer(store.pointer().moved(target, NOW_MS))
    return target


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_it_is_the_popular_videos_that_every_country_may_see(store: GenerationStore):
    static = StaticList(store, poll_s=0.01)
    static.start()
    assert list(static.ids()) == []

    published(store, seed=1)

    # v060 has the most watches and every tenth video is restricted in fr
    wanted = [f"v{number:03d}" for number in range(60, 0, -1) if number % 10]
    assert soon(lambda: list(static.ids()) == wanted)
    static.stop()


def test_it_is_kept_while_the_store_cannot_be_read_and_read_again_after_that(store: GenerationStore, tmp_path: Path):
    static = StaticList(store, poll_s=0.01)
    with capture_logs() as logs:

        def told(event: str, **fields: object) -> bool:
            return any(fields.items() <= entry.items() for entry in logs if entry["event"] == event)

        static.start()
        first = published(store, seed=1)
        assert soon(lambda: told("static_list.read", target=str(first)))
        kept = list(static.ids())

        (tmp_path / "generations" / "live.json").write_text("{")
        assert soon(lambda: told("static_list.not_read"))
        assert list(static.ids()) == kept

        torn = build_generation(store, parts(seed=2)).target
        (tmp_path / "generations" / torn.generation / STATIC).write_text('["v001"]')  # not what its manifest says
        with pytest.raises(GenerationError, match=r"static\.json has 8 bytes") as refused:
            store.read(torn, STATIC)
        store.write_pointer(Pointer().moved(torn, NOW_MS))
        assert soon(lambda: told("static_list.not_read", error=str(refused.value)))
        assert list(static.ids()) == kept

        third = published(store, seed=3)
        assert soon(lambda: told("static_list.read", target=str(third)))
        static.stop()


def test_a_bundle_of_an_older_release_says_so(store: GenerationStore):
    target = build_generation(store, parts()).target
    with pytest.raises(GenerationError, match=r"has no other\.json: an older release made it"):
        store.read(target, "other.json")
