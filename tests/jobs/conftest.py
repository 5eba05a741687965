"""A real desk over a real database, in the event loop of the test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control_plane.domain.limits import Limits
from control_plane.jobs.run_service import Desk
from control_plane.jobs.runtime import set_up
from control_plane.store.store import Store, open_store


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = open_store(tmp_path / "runs.db")
    made = Desk(store, Limits(), set_up(store, {1}, "normal"))
    yield made
    await made.close()
    store.close()


@pytest.fixture
def store(desk: Desk) -> Store:
    return desk._store  # noqa: SLF001 - the test looks at what the desk stores
