import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from control_plane.targets.marked_processes import end_left_running
from tests.targets.site import Site

if sys.platform != "linux":
    pytest.skip("targets are started on Linux only", allow_module_level=True)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Whatever happens to the targets of a test, nothing of them is there after it."""
    made = Site(tmp_path / "state")
    yield made
    try:
        made.assert_gone()
    finally:
        end_left_running(made.instance)
