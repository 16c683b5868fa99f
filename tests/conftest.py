from collections.abc import Iterator

import pytest
import structlog
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# The router of all services tests listens on one port; the chart's tests build the same programs and schemas.
WHOLE = ("tests/services/", "tests/chart/")


class WholeFolders(LoadFileScheduling):
    """A process of `pytest -n` takes all tests of a file, or of a folder in `WHOLE`."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in WHOLE if nodeid.startswith(folder)), super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return WholeFolders(config, log)


@pytest.fixture(autouse=True)
def default_logs() -> Iterator[None]:
    """A verb or server that ran in this process has set logs up for its own standard error, which is closed by now."""
    yield
    structlog.reset_defaults()
