"""What several of these tests wait for, and what stands in a publish's way."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.unit import waiting
from watchnext.errors import GenerationError
from watchnext.generation.bundle import Bundle
from watchnext.generation.follow import Follower
from watchnext.generation.manifest import Replica, Target
from watchnext.generation.store import GenerationStore
from watchnext.settings import Settings

eventually = partial(waiting.eventually, seconds=20)


def generations(settings: Settings, **changes: float) -> Settings:
    """The same settings but for some of the section."""
    return settings.model_copy(update={"generations": settings.generations.model_copy(update=changes)})


def beside_a_hung_replica(store: GenerationStore, settings: Settings, *loaded: Target) -> Settings:
    """A replica that lives and answers no attempt, and settings that do not wait long for it."""
    store.replicas.write(Replica(name="hung", at=store.clock.now_ms() + 60_000, loaded=list(loaded)))
    return generations(settings, ack_timeout_s=0.3)


@contextmanager
def refusing(store: GenerationStore, generation: str, reason: str) -> Iterator[Follower[str]]:
    """A replica that has what is live and does not load `generation`."""

    def load(asked: str, overlay: int) -> str:
        if asked == generation:
            raise GenerationError(reason)
        return asked

    with Follower(store, "r1", load, poll_s=0.02) as following:
        following.wait(20)
        yield following


def serving(current: Bundle | None) -> Target | None:
    return current.target if current else None
