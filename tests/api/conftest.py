"""One dashboard for all tests of the API."""

from collections.abc import Iterator

import pytest

from tests.dashboard import Dashboard, dashboard


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("api")) as started:
        yield started
