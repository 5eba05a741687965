"""A disk that is full: what is there stays readable, and all goes on once there is space."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard import DashboardProcess, dashboard, items_spec, long_spec, one_of, until, whole
from tests.stalled_server import StalledServer, stalled_server

ALONE = [["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]]
"""As root, and as anybody else where the system lets them be root of what only they see."""
SIZE = 3 * 1024**2
SMALL = f'mount -t tmpfs -o size={SIZE} tmpfs . && cd "$PWD" && exec "$@"'
"""A disk of its own in the present folder, which nothing else sees and which goes with it."""


@contextmanager
def on_a_small_disk(folder: Path) -> Iterator[tuple[DashboardProcess, Path]]:
    """With the place of its disk as it is seen from here."""
    with dashboard(folder, under=_mounted(folder)) as looplab:
        disk = Path(f"/proc/{looplab.process.pid}/root") / folder.relative_to("/")
        yield looplab, disk


def _mounted(folder: Path) -> list[str]:
    """What executes a command with the small disk in `folder`."""
    for alone in ALONE if shutil.which("unshare") else ():
        mounted = [*alone, "sh", "-c", SMALL, "sh"]
        tried = subprocess.run([*mounted, "true"], cwd=folder, capture_output=True, check=False)
        if tried.returncode == 0:
            return mounted
    pytest.skip("this system gives no mount namespace")


def fill(disk: Path) -> Path:
    """The file that has all the space that was left."""
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(SIZE))
    return filler


def text_of(looplab: DashboardProcess, path: str) -> str:
    answer = looplab.get(path)
    assert answer.status_code == 200
    return unescape(answer.text)


@pytest.fixture
def target() -> Iterator[StalledServer]:
    with stalled_server() as server:
        yield server


def short(target: StalledServer) -> dict[str, Any]:
    return items_spec(target={"url": target.url}, warmup_s=0)


def run_into(looplab: DashboardProcess, disk: Path, target: StalledServer) -> tuple[str, Path]:
    """A run whose disk is full by its end, and what fills it."""
    target.requested.clear()
    target.released.clear()
    run_id = looplab.submit(short(target))
    assert target.requested.wait(20)
    looplab.until_state(run_id, {"running"})
    filler = fill(disk)
    target.released.set()
    page_tells(looplab, run_id)
    return run_id, filler


def page_tells(looplab: DashboardProcess, run_id: str) -> None:
    """What is the matter, without the place of the database."""
    page = f"/runs/{run_id}"
    until(lambda: "not written yet" in text_of(looplab, page), "the page tells")
    text = text_of(looplab, page)
    told = "not written yet. The database cannot grow: its disk is full, so make space there."
    assert told in text
    assert str(looplab.db.parent) not in text


def assert_whole(disk: Path, folder: Path) -> None:
    """In a copy, because SQLite does not find its way to another's disk."""
    for name in ("runs.db", "runs.db-wal"):
        shutil.copy(disk / name, folder / name)
    assert whole(folder / "runs.db")


def test_a_run_on_a_full_disk_says_so_and_the_next_one_works(
    tmp_path: Path, target: StalledServer
) -> None:
    with on_a_small_disk(tmp_path) as (looplab, disk):
        target.released.set()
        kept = looplab.submit(short(target))
        before = looplab.finished(kept)
        run_id, filler = run_into(looplab, disk, target)
        assert looplab.run(kept) == before
        for path in ("/", "/history", f"/runs/{kept}"):
            assert text_of(looplab, path)
        refused = looplab.post("/api/runs", short(target))
        assert (refused.status_code, refused.json()["error"]) == (503, "disk_full")
        assert str(tmp_path) not in refused.text
        assert looplab.post(f"/api/runs/{run_id}/cancel").status_code == 503
        filler.unlink()
        run = looplab.until_state(run_id, {"failed"})
        reason = "disk full in trial 1 of 1: make space where the database lies, then run it again"
        assert run["reason"] == reason
        assert f"Failed: {reason}" in text_of(looplab, f"/runs/{run_id}")
        looplab.finished(looplab.submit(short(target)))
        assert_whole(disk, tmp_path)


def test_a_run_that_fails_on_a_full_disk_keeps_its_reason(tmp_path: Path) -> None:
    with on_a_small_disk(tmp_path) as (looplab, disk):
        run_id = looplab.submit(long_spec(warmup_s=0))
        looplab.until_state(run_id, {"running"})
        filler = fill(disk)
        one_of(looplab, "server").kill()
        page_tells(looplab, run_id)
        filler.unlink()
        run = looplab.until_state(run_id, {"failed"})
        assert run["reason"] == "target died, signal 9"
        assert "Application startup complete" in text_of(looplab, f"/runs/{run_id}")
    assert f"{tmp_path}/runs.db cannot grow" in (tmp_path / "looplab.log").read_text()


def test_a_stop_on_a_full_disk_is_in_time(tmp_path: Path, target: StalledServer) -> None:
    with on_a_small_disk(tmp_path) as (looplab, disk):
        run_into(looplab, disk, target)
        assert looplab.stop() == 0
    assert "Traceback" not in (tmp_path / "looplab.log").read_text()
