"""A database in a folder of its own, without a run, and its open store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from control_plane.store.store import Store, open_store
from tests.dashboard import provide_database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return provide_database(tmp_path / "runs.db")


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = open_store(path)
    yield opened
    opened.close()
