"""What must hold after each fault."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.dashboard import instance_of, marked, until, whole


@pytest.fixture
def clean_after(tmp_path: Path) -> Iterator[Path]:
    """The folder of one dashboard; afterwards nothing of it runs and its file is whole."""
    yield tmp_path
    db = tmp_path / "runs.db"
    instance = instance_of(db)
    until(lambda: not marked(instance), f"no process with the marker {instance}", 1.0)
    assert not [child for child in psutil.Process().children() if child.status() == "zombie"]
    assert whole(db)
