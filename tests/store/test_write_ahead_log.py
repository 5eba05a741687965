"""What people do with the files of a database, while it is open and after a kill."""

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from control_plane.domain.errors import DatabaseOwned, InvalidInput, StoreError
from control_plane.domain.run import State
from control_plane.domain.tool_result import ToldOfFile
from control_plane.other_tools import read_tool_file
from control_plane.store import write_ahead_log
from control_plane.store.store import Store, open_store
from control_plane.store.write_ahead_log import aside, belongs, log_path, marks
from tests.builders.states import in_state
from tests.dashboard import whole

CANCELLED = State.CANCELLED


def titles(path: Path) -> list[str]:
    with closing(open_store(path)) as store:
        return ids(store)


def ids(store: Store) -> list[str]:
    return sorted(run.id for run in store.runs(limit=200).runs)


def killed(store: Store, to: Path) -> Path:
    """The files as a kill leaves them: the log still holds what was committed last."""
    to.mkdir(exist_ok=True)
    for path in (store.path, log_path(store.path)):
        shutil.copy(path, to / path.name)
    return to / store.path.name


@pytest.fixture
def backup(path: Path) -> Path:
    """A database of one run, closed and copied before others were added."""
    with closing(open_store(path)) as store:
        in_state(store, CANCELLED)
    return Path(shutil.copy(path, path.with_name("backup.db")))


def test_what_a_kill_leaves_in_the_log_is_kept(backup: Path, path: Path, tmp_path: Path) -> None:
    with closing(open_store(path)) as store:
        in_state(store, CANCELLED)
        left = killed(store, tmp_path / "left")
        there = ids(store)
    assert len(there) == 2
    assert titles(left) == there
    assert sorted(found.name for found in left.parent.iterdir()) == ["runs.db"]


def moved_over(backup: Path, path: Path) -> None:
    Path(shutil.copy(backup, path.with_name("other.db"))).rename(path)


def copied_over(backup: Path, path: Path) -> None:
    shutil.copyfile(backup, path)


def deleted(backup: Path, path: Path) -> None:
    del backup
    path.unlink()


def made_anew(backup: Path, path: Path) -> None:
    del backup
    other = path.parent / "new"
    other.mkdir()
    with closing(open_store(other / path.name)) as store:
        in_state(store, CANCELLED)
    (other / path.name).rename(path)


@pytest.mark.parametrize("accident", [moved_over, copied_over, deleted, made_anew])
@pytest.mark.parametrize("lock_stays", [True, False])
def test_a_log_of_another_database_is_set_aside_and_named(
    backup: Path,
    path: Path,
    tmp_path: Path,
    accident: Callable[[Path, Path], None],
    lock_stays: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with closing(open_store(path)) as store:
        for _ in range(3):
            in_state(store, CANCELLED)
        left = killed(store, tmp_path / "left")
        log = log_path(left).read_bytes()
    if lock_stays:
        left.with_name(f"{left.name}.lock").write_text("")
    accident(backup, left)
    expected = [] if accident is deleted else ids_without_log(left)
    with caplog.at_level(logging.WARNING):
        assert titles(left) == expected
    (kept,) = left.parent.glob("runs.db-wal.*")
    assert kept.read_bytes() == log
    assert str(kept) in caplog.text
    assert whole(left)


def ids_without_log(path: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        return sorted(run_id for (run_id,) in connection.execute("SELECT id FROM run"))


@pytest.mark.parametrize("renewals", [1, 2, 3])
def test_a_copy_of_the_same_session_takes_no_log_of_later(
    path: Path, tmp_path: Path, renewals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_ahead_log, "MOST_BYTES", 0)
    with closing(open_store(path)) as store:
        in_state(store, CANCELLED)
        copy = shutil.copy(path, tmp_path / "copy.db")
        for _ in range(renewals):
            in_state(store, CANCELLED)
        left = killed(store, tmp_path / "left")
        assert belongs(left)
    shutil.copyfile(copy, left)
    assert not belongs(left)
    assert len(titles(left)) <= 1
    assert whole(left)


def test_a_log_that_grew_long_is_moved_into_the_database(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_ahead_log, "MOST_BYTES", 150_000)
    sizes = []
    with closing(open_store(path)) as store:
        for _ in range(12):
            in_state(store, CANCELLED)
            sizes.append(log_path(path).stat().st_size)
    assert max(sizes) < 250_000
    assert sizes != sorted(sizes)


def test_a_reader_that_goes_on_keeps_the_log_and_the_mark(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_ahead_log, "MOST_BYTES", 0)
    with closing(open_store(path)) as store:
        in_state(store, CANCELLED)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM run").fetchone()
            in_state(store, CANCELLED)
            assert store.fault() is None
            assert belongs(path)
            other.execute("COMMIT")
        in_state(store, CANCELLED)
        assert len(marks(log_path(path))) == 1
        there = ids(store)
    assert titles(path) == there
    assert len(there) == 3


def test_a_log_that_another_program_moved_is_renewed_before_a_change_counts(
    path: Path, tmp_path: Path
) -> None:
    with closing(open_store(path)) as store:
        run = in_state(store, CANCELLED)
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(FULL)")
        store.edit(run.id, title="after it")
        left = killed(store, tmp_path / "left")
    assert belongs(left)
    with closing(open_store(left)) as again:
        assert again.run(run.id).title == "after it"


def test_what_is_committed_beside_a_deleted_log_is_kept(path: Path, tmp_path: Path) -> None:
    with closing(open_store(path)) as store:
        log_path(path).unlink()
        in_state(store, CANCELLED)
        left = Path(shutil.copy(path, tmp_path / "left.db"))
        there = ids(store)
    assert titles(left) == there
    assert len(there) == 1


def test_a_log_is_never_cut_while_it_is_renewed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_ahead_log, "MOST_BYTES", 0)
    stop = threading.Event()
    with closing(open_store(path)) as store:

        def look() -> set[str | None]:
            found = set()
            while not stop.is_set():
                found.add(store.fault())
            return found

        with ThreadPoolExecutor(1) as thread:
            looks = thread.submit(look)
            for _ in range(40):
                in_state(store, CANCELLED)
            stop.set()
            assert looks.result() == {None}
        assert len(ids(store)) == 40
    assert not list(path.parent.glob("runs.db-wal.*"))


def refuses(store: Store, text: str) -> None:
    with pytest.raises(StoreError, match=text):
        in_state(store, CANCELLED)


def test_a_database_that_is_moved_away_takes_nothing_until_it_is_back(path: Path) -> None:
    elsewhere = path.with_name("elsewhere.db")
    with closing(open_store(path)) as store:
        in_state(store, CANCELLED)
        path.rename(elsewhere)
        assert "deleted or moved" in (store.fault() or "")
        refuses(store, "deleted or moved")
        assert len(ids(store)) == 1
        elsewhere.rename(path)
        assert store.fault() is None
        in_state(store, CANCELLED)
    assert len(titles(path)) == 2


def test_a_database_that_is_replaced_takes_nothing_of_the_one_before(
    backup: Path, path: Path
) -> None:
    with closing(open_store(path)) as store:
        in_state(store, CANCELLED)
        moved_over(backup, path)
        refuses(store, "was replaced")
    assert titles(path) == ids_without_log(backup)
    assert whole(path)


def test_a_reader_that_comes_while_it_is_closed_opens_no_other_file(
    backup: Path, path: Path
) -> None:
    """An engine that is disposed connects anew: to what lies at the path then, with the old log."""
    store = open_store(path)
    in_state(store, CANCELLED)
    moved_over(backup, path)
    refused = []

    def comes_late(_engine: Engine) -> None:
        with pytest.raises(StoreError, match="Looplab stops"):
            ids(store)
        refused.append(store.fault())

    event.listen(Engine, "engine_disposed", comes_late)
    try:
        store.close()
    finally:
        event.remove(Engine, "engine_disposed", comes_late)
    assert refused
    with pytest.raises(StoreError, match="Looplab stops"):
        in_state(store, CANCELLED)
    assert ids_without_log(path) == ids_without_log(backup)
    assert titles(path) == ids_without_log(backup)


def test_no_bundle_is_made_of_the_log_and_a_file_that_it_is_not_of(
    backup: Path, path: Path, tmp_path: Path
) -> None:
    with closing(open_store(path)) as store:
        run = in_state(store, CANCELLED)
        moved_over(backup, path)
        with pytest.raises(StoreError, match="was replaced"):
            store.export_bundle(tmp_path / "results.looplab", [run.id])
        path.unlink()
        unknown = tmp_path / "unknown"
        unknown.write_text("nothing")
        with pytest.raises(InvalidInput, match="no bundle"):
            store.import_file(unknown, ToldOfFile("unknown"), lambda _run: None, read_tool_file)
    assert not (tmp_path / "results.looplab").exists()


def test_a_database_that_is_written_over_takes_nothing_of_the_one_before(
    backup: Path, path: Path
) -> None:
    with closing(open_store(path)) as store:
        for _ in range(3):
            in_state(store, CANCELLED)
        copied_over(backup, path)
        refuses(store, "written over")
        with pytest.raises(StoreError, match="written over"):
            ids(store)
    assert ids_without_log(path) == ids_without_log(backup)
    assert titles(path) == ids_without_log(backup)
    assert whole(path)
    assert list(path.parent.glob("runs.db-wal.*"))


def test_what_is_written_over_at_rest_is_noticed_when_it_is_closed(
    backup: Path, path: Path
) -> None:
    store = open_store(path)
    in_state(store, CANCELLED)
    copied_over(backup, path)
    store.close()
    assert titles(path) == ids_without_log(backup)


HOLDER = """
import sys
from pathlib import Path
from control_plane.store.store import open_store
store = open_store(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process has the database until the test is over."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_one_file_has_one_control_plane_whatever_it_is_called(
    held: subprocess.Popen[str], path: Path
) -> None:
    hard, soft = path.with_name("hard.db"), path.with_name("soft.db")
    os.link(path, hard)
    soft.symlink_to(path)
    for name in (hard, soft):
        with pytest.raises(DatabaseOwned, match=str(held.pid)):
            open_store(name)
    path.with_name(f"{path.name}.lock").unlink()
    with pytest.raises(DatabaseOwned, match=str(held.pid)):
        open_store(path)
    held.kill()
    held.wait()
    with pytest.raises(StoreError, match="by another name"):
        open_store(hard)
    for name in (path, hard):
        assert titles(name) == []


def test_a_name_that_is_taken_is_not_used_again(path: Path) -> None:
    first = aside(path)
    first.touch()
    assert aside(path) != first
