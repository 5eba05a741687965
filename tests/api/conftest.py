"""One dashboard in process for the tests of each file of the API."""

from collections.abc import Iterator

import pytest

from tests.dashboard import Dashboard
from tests.in_process import in_process


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with in_process(tmp_path_factory.mktemp("api")) as started:
        yield started
