"""What is not a database of ours is refused in one line, and left as it was."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from control_plane.domain.errors import StoreError
from control_plane.store.preflight import usable
from control_plane.store.store import open_store
from tests.builders import ASYNC, finished, items
from tests.store.places import digest


def _filled(path: Path) -> None:
    store = open_store(path)
    finished(store, items(trials=1), ASYNC)
    store.close()


def _cut(share: float) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        _filled(path)
        os.truncate(path, int(path.stat().st_size * share))

    return make


def _other_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")


def _without_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")


def _read_only(path: Path) -> None:
    _filled(path)
    path.chmod(0o444)


UNUSABLE = {
    "empty": (lambda path: path.touch(), "is empty"),
    "text": (lambda path: path.write_text("not a database\n" * 500), "not a database"),
    "short text": (lambda path: path.write_text("x"), "not a database"),
    "magic alone": (lambda path: path.write_bytes(b"SQLite format 3\x00"), "not a database"),
    "cut to a few bytes": (_cut(0.0005), "damaged"),
    "cut to a tenth": (_cut(0.1), "damaged"),
    "cut by a little": (_cut(0.97), "damaged"),
    "other program": (_other_program, "another program"),
    "no tables": (_without_tables, "another program"),
    "read-only": (_read_only, "read-only"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_an_unusable_file_is_refused_and_unchanged(path: Path, kind: str) -> None:
    make, words = UNUSABLE[kind]
    make(path)
    before = digest(path), path.stat().st_mode, path.stat().st_mtime_ns
    for _ in range(2):
        with pytest.raises(StoreError, match=words) as refused:
            open_store(path)
        assert "\n" not in str(refused.value)
        assert str(path) in str(refused.value)
        assert "--db" in str(refused.value)
    assert (digest(path), path.stat().st_mode, path.stat().st_mtime_ns) == before


def test_nothing_is_left_beside_the_database_of_another_program(path: Path) -> None:
    _other_program(path)
    with pytest.raises(StoreError):
        open_store(path)
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_or_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a file"):
        usable(tmp_path)
    with pytest.raises(StoreError, match="no folder"):
        usable(tmp_path / "missing" / "runs.db")
    with pytest.raises(StoreError, match="no folder"):
        usable(Path(__file__) / "runs.db")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_can_be_made(path: Path) -> None:
    assert not usable(path)
    _filled(path)
    assert usable(path)


def test_what_is_made_is_for_its_owner_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        store = open_store(path)
        store.announce("http://127.0.0.1:1")
        finished(store, items(trials=1), ASYNC)
        names = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert names == dict.fromkeys(("runs.db", "runs.db-wal", "runs.db-shm", "runs.db.lock"), 0o600)


def test_the_mode_of_an_existing_file_stays(path: Path) -> None:
    _filled(path)
    path.chmod(0o640)
    open_store(path).close()
    assert path.stat().st_mode & 0o777 == 0o640
