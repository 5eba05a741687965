"""One misbehaving server for all tests of this room."""

from collections.abc import Iterator

import pytest

from tests.load.hostile import HostileServer, hostile_server


@pytest.fixture
def server() -> Iterator[HostileServer]:
    """Counts from zero."""
    with hostile_server() as running:
        yield running
