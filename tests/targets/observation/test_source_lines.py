"""Source lines by the paths that a target wrote, whatever it wrote."""

import os
from pathlib import Path

import pytest

from control_plane.domain.observations import Gauges, Stall
from control_plane.targets.observation.stalls import MAX_SOURCE_BYTES, source_lines


def lines(folder: Path, *places: str, began_s: float = 2_000.0) -> dict[str, str]:
    """As the run would read them that began at `began_s`."""
    stalls = tuple(Stall(1, 0.0, 1.0, (f"{place} work",)) for place in places)
    return dict(source_lines([Gauges(0.5, (), (), stalls)], folder, began_s))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    file = tmp_path / "shop.py"
    file.write_text("import time\n\ntime.sleep(1)\n")
    os.utime(file, (1_000, 1_000))
    return file


def test_lines_are_read_below_the_folder_of_the_application(shop: Path) -> None:
    assert lines(shop.parent, "shop.py:3", "shop.py:1", "shop.py:9", "gone.py:1") == {
        "shop.py:3": "time.sleep(1)",
        "shop.py:1": "import time",
    }


def test_a_file_that_changed_since_the_run_began_tells_nothing(shop: Path) -> None:
    assert lines(shop.parent, "shop.py:3", began_s=1_000.0) == {}


def test_only_plain_files_of_source_are_opened(tmp_path: Path) -> None:
    """A pipe would be waited for, and a device has no end."""
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "device.py").symlink_to("/dev/zero")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "secret.txt").write_text("one\n")
    (tmp_path / "large.py").write_text("x\n" * MAX_SOURCE_BYTES)
    for name in ("secret.txt", "large.py"):
        os.utime(tmp_path / name, (1_000, 1_000))
    names = ("pipe.py:1", "device.py:1", "folder.py:1", "secret.txt:1", "large.py:1")
    assert lines(tmp_path, *names, "/dev/zero:1", "a\0b.py:1") == {}
