from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def default_logs() -> Iterator[None]:
    """A verb or server that ran in this process has set logs up for its own standard error, which is closed by now."""
    yield
    structlog.reset_defaults()
