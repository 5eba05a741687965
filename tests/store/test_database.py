"""The open database: durable, shared between threads, and plain about what it cannot do."""

import errno
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import col, select

from control_plane.domain.errors import DatabaseBusy, DatabaseFull, NotFound, StoreError
from control_plane.domain.run import State
from control_plane.store import database
from control_plane.store.database import Database, sqlite_error, store_errors
from control_plane.store.mapping import run_row
from control_plane.store.schema_and_backups import prepare
from control_plane.store.store import Store, open_store
from control_plane.store.tables import RunRow
from tests.builders.runs import ASYNC, finished, items
from tests.builders.states import draft, in_state

PATH = Path("runs.db")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SQLITE_BUSY_SNAPSHOT", DatabaseBusy),
        ("SQLITE_LOCKED", DatabaseBusy),
        ("SQLITE_FULL", DatabaseFull),
        ("SQLITE_READONLY_DBMOVED", StoreError),
        ("SQLITE_CANTOPEN", StoreError),
        ("SQLITE_CORRUPT_VTAB", StoreError),
        ("SQLITE_IOERR_WRITE", StoreError),
        ("", StoreError),
    ],
)
def test_the_name_decides(name: str, kind: type[StoreError]) -> None:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorname = name
    found = sqlite_error(PATH, error)
    assert type(found) is kind
    assert str(found).startswith("runs.db ")
    assert str(found).endswith(".")
    assert found.plain == str(found).replace("runs.db", "The database")


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, DatabaseFull), (errno.EIO, StoreError)]
)
def test_what_the_system_refuses_is_told_too(number: int, kind: type[StoreError]) -> None:
    with pytest.raises(StoreError, match=r"runs\.db\.new") as refused, store_errors(PATH):
        raise OSError(number, "said", "runs.db.new")
    assert type(refused.value) is kind
    assert refused.value.plain == "The database cannot be written: said."


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(ZeroDivisionError), store_errors(PATH):
        raise ZeroDivisionError


def pragma(opened: Database, name: str) -> object:
    with opened.write() as session:
        return session.connection().exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_what_is_committed_survives_a_power_cut(path: Path) -> None:
    prepare(path)
    with closing(Database(path)) as opened:
        found = {name: pragma(opened, name) for name in ("journal_mode", "synchronous")}
        assert found == {"journal_mode": "wal", "synchronous": 2}
        assert pragma(opened, "foreign_keys") == 1
        assert pragma(opened, "busy_timeout") == 1_000 * database.BUSY_S


def test_a_change_that_fails_half_way_is_undone(path: Path) -> None:
    with closing(open_store(path)) as store:
        run = in_state(store, State.QUEUED)
    with closing(Database(path)) as opened:
        with pytest.raises(KeyError):
            _rename_and_fail(opened)
        with opened.read() as session:
            assert session.exec(select(col(RunRow.title))).one() == run.title


def test_readers_do_not_wait_for_a_writer(path: Path) -> None:
    prepare(path)
    with closing(Database(path)) as opened, opened.write() as session:
        session.connection().exec_driver_sql("DELETE FROM meta")
        with opened.read() as reading:
            assert reading.exec(select(RunRow)).all() == []


def test_who_reads_one_after_another_shares_a_connection(path: Path) -> None:
    """Each keeps up to 2 MB of the file in memory."""
    prepare(path)
    used = set()
    with closing(Database(path)) as opened:
        for _ in range(4):
            with opened.read() as session:
                used.add(session.connection().connection.driver_connection)
    assert len(used) == 1


def test_many_threads_read_while_one_writes(store: Store) -> None:
    done = finished(store, items(trials=1), ASYNC)
    stop = threading.Event()

    def read() -> int:
        count = 0
        while not stop.is_set():
            assert store.run(done.id) == done
            assert store.runs(limit=200).runs[-1].id == done.id
            count += 1
        return count

    with ThreadPoolExecutor(6) as threads:
        readers = [threads.submit(read) for _ in range(6)]
        for _ in range(10):
            in_state(store, State.CANCELLED)
        stop.set()
        assert all(reader.result() for reader in readers)
    assert store.runs(limit=1).total == 11


def test_what_is_read_in_one_view_is_of_one_state(store: Store) -> None:
    def total() -> int:
        return store.runs(limit=1).total

    first = in_state(store, State.CANCELLED)
    with ThreadPoolExecutor(1) as another:
        with store.one_view():
            assert (total(), store.is_over(first.id)) == (1, True)
            in_state(store, State.QUEUED)
            assert (total(), another.submit(total).result()) == (1, 2)
        assert (total(), another.submit(total).result()) == (2, 2)
    with pytest.raises(NotFound), store.one_view():
        store.is_over("0000000000")
    assert total() == 2


def test_a_lock_of_another_process_is_waited_for_then_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.2)
    with closing(open_store(path)) as store:
        (run,) = store.add([draft()])
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseBusy, match="busy"):
                store.move(run.id, State.QUEUED, State.STARTING)
            assert store.run(run.id) == run
            other.execute("ROLLBACK")
        assert store.move(run.id, State.QUEUED, State.STARTING).state is State.STARTING


def test_a_lock_that_is_given_back_in_time_is_not_noticed(path: Path) -> None:
    with closing(open_store(path)) as store:
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        with closing(other):
            other.execute("BEGIN IMMEDIATE")
            timer = threading.Timer(0.3, other.execute, ["COMMIT"])
            timer.start()
            assert store.add([draft()])
            timer.join()


def test_a_full_disk_is_named_and_what_is_there_stays_readable(path: Path) -> None:
    with closing(open_store(path)) as store:
        done = finished(store, items(trials=1), ASYNC)
    with closing(Database(path)) as opened:
        pages = pragma(opened, "page_count")
        pragma(opened, f"max_page_count={pages}")
        with pytest.raises(DatabaseFull, match="full"):
            _grow(opened)
        with opened.read() as session:
            assert session.exec(select(col(RunRow.id))).all() == [done.id]


def test_a_damaged_page_is_a_store_error(path: Path) -> None:
    with closing(open_store(path)) as store:
        done = finished(store, items(trials=3), ASYNC)
    content = bytearray(path.read_bytes())
    content[8_192:] = b"\xa5" * (len(content) - 8_192)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged") as refused, closing(open_store(path)) as store:
        store.detail(done.id)
    assert "\n" not in str(refused.value)


def _rename_and_fail(opened: Database) -> None:
    with opened.write() as session:
        session.exec(select(RunRow)).one().title = "changed"
        session.flush()
        raise KeyError


def _grow(opened: Database) -> None:
    row = run_row(draft(title="x" * 200), datetime.now(UTC), None)
    with opened.write() as session:
        for number in range(10_000):
            session.add(RunRow(**{**row.model_dump(), "id": str(number)}))
            session.flush()
