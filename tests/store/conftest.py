"""An open store in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from control_plane.store.store import Store, open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = open_store(path)
    yield opened
    opened.close()
