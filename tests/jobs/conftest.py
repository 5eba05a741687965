"""A real run service over a real database, in the event loop of the test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control_plane.domain.limits import Limits
from control_plane.jobs import recover
from control_plane.jobs.run_service import RunService
from control_plane.store.store import Store, open_store
from tests.dashboard import provide_database


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[RunService]:
    store = open_store(provide_database(tmp_path / "runs.db"))
    made = RunService(store, Limits(), recover(store, {1}, "normal"))
    yield made
    await made.close()
    store.close()


@pytest.fixture
def store(service: RunService) -> Store:
    return service._store  # noqa: SLF001 - the test looks at what the service stores
