"""One training for the tests of this folder."""

import pytest

from tests.parity.world import Trained, trained


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.mktemp("parity"))
