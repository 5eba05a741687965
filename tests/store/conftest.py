"""An open store in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from control_plane.store.store import Store, open_store
from tests.dashboard import provide_database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = open_store(provide_database(path))
    yield opened
    opened.close()
