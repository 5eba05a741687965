"""SQLite's errors as ours, each one readable line."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from control_plane.domain.errors import DatabaseBusy, DatabaseFull, StoreError

_KINDS: tuple[tuple[str, type[StoreError], str], ...] = (
    ("SQLITE_BUSY", DatabaseBusy, "is busy: another process holds its lock"),
    ("SQLITE_LOCKED", DatabaseBusy, "is busy: another process holds its lock"),
    ("SQLITE_FULL", DatabaseFull, "cannot grow: its disk is full, so make space there"),
    ("SQLITE_READONLY", StoreError, "cannot be written: it is read-only"),
    ("SQLITE_CANTOPEN", StoreError, "cannot be opened: check the rights of file and folder"),
    ("SQLITE_NOTADB", StoreError, "is not a database: move it away or choose another with --db"),
    ("SQLITE_CORRUPT", StoreError, "is damaged: restore a backup or choose another with --db"),
)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise StoreError, DatabaseBusy or DatabaseFull for what SQLite or the system refuses."""
    try:
        yield
    except PoolTimeout as error:
        raise told(DatabaseBusy, path, "is busy: another change is being written.") from error
    except DBAPIError as error:
        raise fault(path, error.orig) from error
    except sqlite3.Error as error:
        raise fault(path, error) from error
    except OSError as error:
        kind = DatabaseFull if error.errno == errno.ENOSPC else StoreError
        text = f"cannot be written: {error.strerror}."
        raise told(kind, error.filename or path, text) from error


def fault(path: Path, error: BaseException | None) -> StoreError:
    name = getattr(error, "sqlite_errorname", "")
    for prefix, kind, text in _KINDS:
        if name.startswith(prefix):
            return told(kind, path, f"{text}.")
    return told(StoreError, path, f"cannot be used: {error}.")


def told(kind: type[StoreError], path: Path | str, text: str) -> StoreError:
    """What is the matter with the file, and the same of the database."""
    return kind(f"{path} {text}", f"The database {text}")
