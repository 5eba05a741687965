"""Each refusal of SQLite is the right error of ours, in one line."""

import errno
import sqlite3
from pathlib import Path

import pytest

from control_plane.domain.errors import DatabaseBusy, DatabaseFull, StoreError
from control_plane.store.faults import fault, readable

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
    found = fault(PATH, error)
    assert type(found) is kind
    assert str(found).startswith("runs.db ")
    assert str(found).endswith(".")
    assert found.plain == str(found).replace("runs.db", "The database")


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, DatabaseFull), (errno.EIO, StoreError)]
)
def test_what_the_system_refuses_is_told_too(number: int, kind: type[StoreError]) -> None:
    with pytest.raises(StoreError, match=r"runs\.db\.new") as refused, readable(PATH):
        raise OSError(number, "said", "runs.db.new")
    assert type(refused.value) is kind
    assert refused.value.plain == "The database cannot be written: said."


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(ZeroDivisionError), readable(PATH):
        raise ZeroDivisionError
