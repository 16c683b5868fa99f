import pytest

from tests.chart.rendering import VALUES


@pytest.fixture(params=sorted(VALUES))
def values(request: pytest.FixtureRequest) -> str:
    """The name of each values file of the chart."""
    name: str = request.param
    return name
