import pytest

from watchnext.clock import FixedClock
from watchnext.errors import GenerationError
from watchnext.generation.files import Files
from watchnext.generation.lock import check_held, publishing

NOW = FixedClock(1_000_000)


@pytest.fixture
def files(tmp_path) -> Files:
    return Files(f"memory://{tmp_path}")


def test_a_second_publisher_is_refused_and_told_who_is_first(files: Files):
    with (
        publishing(files, NOW, hold_s=60) as lock,
        pytest.raises(GenerationError, match=f"{lock.owner} is publishing .* try again in 60 s"),
        publishing(files, NOW, hold_s=60),
    ):
        pass
    with publishing(files, NOW, hold_s=60) as second:
        check_held(files, second)


def test_the_lock_of_a_killed_publisher_runs_out(files: Files):
    killed = publishing(files, NOW, hold_s=60)
    first = killed.__enter__()
    with publishing(files, FixedClock(NOW.at_ms + 60_000), hold_s=60) as second:
        check_held(files, second)
        with pytest.raises(GenerationError, match="was taken over"):
            check_held(files, first)
    assert not files.exists("publish.lock")


def test_a_publisher_that_was_overtaken_leaves_the_lock_of_the_other(files: Files):
    slow = publishing(files, NOW, hold_s=60)
    slow.__enter__()
    with publishing(files, FixedClock(NOW.at_ms + 60_000), hold_s=60) as second:
        slow.__exit__(None, None, None)
        check_held(files, second)


class AskedTwice(Files):
    """The answer to the first request is lost: the client asks again, and is told that the file is there."""

    def create(self, path: str, data: bytes) -> bool:
        super().create(path, data)
        return super().create(path, data)


def test_a_lock_whose_answer_was_lost_is_held(tmp_path):
    files = AskedTwice(f"memory://{tmp_path}")
    with publishing(files, NOW, hold_s=60) as lock:
        check_held(files, lock)
    assert not files.exists("publish.lock")


class ReleasedMeanwhile(Files):
    """The lock that hindered `create` is gone when it is read, and a third publisher has one right after."""

    def read(self, path: str) -> bytes:
        self.delete(path)
        super().create(path, b"of the third")
        raise FileNotFoundError(path)


def test_a_publisher_that_was_too_late_leaves_the_lock_of_the_next(tmp_path):
    files = ReleasedMeanwhile(f"memory://{tmp_path}")
    files.write("publish.lock", b"of the first")
    with pytest.raises(GenerationError, match="has just begun to publish"), publishing(files, NOW, hold_s=60):
        pass
    assert Files(files.url).read("publish.lock") == b"of the third"
