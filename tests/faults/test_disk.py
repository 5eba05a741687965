"""A disk that is full: what is there stays readable, and all goes on once there is space."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard import (
    BARE,
    DashboardProcess,
    forked_dashboard,
    items_spec,
    long_spec,
    one_of,
    until,
    whole,
)
from tests.stalled_server import StalledServer, stalled_server

ALONE = [["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]]
"""As root, and as anybody else where the system lets them be root of what only they see."""
SIZE = 3 * 1024**2
NEW_NAMESPACE, NEW_USER = 0x00020000, 0x10000000
PRIVATE = 0x44000


@contextmanager
def on_a_small_disk(folder: Path) -> Iterator[tuple[DashboardProcess, Path]]:
    """With the place of its disk as it is seen from here."""
    within = partial(small_disk, folder, others=_others(folder))
    with forked_dashboard(folder, within=within) as looplab:
        disk = Path(f"/proc/{looplab.process.pid}/root") / folder.relative_to("/")
        yield looplab, disk


def _others(folder: Path) -> bool:
    """Whether it is others than root for whom the system makes a disk."""
    for alone in ALONE if shutil.which("unshare") else ():
        command = [*alone, "mount", "-t", "tmpfs", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return alone is ALONE[1]
    pytest.skip("this system gives no mount namespace")


@contextmanager
def small_disk(folder: Path, *, others: bool) -> Iterator[None]:
    """Give this process a disk of its own in the folder, with the database that lay there.

    Nothing else sees the disk, and it goes with the process.
    """
    database = (folder / "runs.db").read_bytes()
    system, ids = ctypes.CDLL(None, use_errno=True), (os.getuid(), os.getgid())
    assert system.unshare(NEW_NAMESPACE | (NEW_USER if others else 0)) == 0, ctypes.get_errno()
    if others:
        Path("/proc/self/setgroups").write_text("deny")
        for kind, own in zip(("uid", "gid"), ids, strict=True):
            Path(f"/proc/self/{kind}_map").write_text(f"0 {own} 1")
    size = f"size={SIZE}".encode()
    assert system.mount(b"none", b"/", None, PRIVATE, None) == 0, ctypes.get_errno()
    assert system.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, size) == 0, ctypes.get_errno()
    os.chdir(folder)
    Path("runs.db").write_bytes(database)
    Path("runs.db").chmod(0o600)
    yield


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
    return items_spec(target={"url": target.url}, client=BARE["client"], warmup_s=0)


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
    until(lambda: "not written yet" in text_of(looplab, page), "the page tells", every_s=0.2)
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
        run_id = looplab.submit(long_spec(client=BARE["client"], warmup_s=0))
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
