"""The open database: one connection that writes, a few that read.

SQLite before 3.51.3 can lose commits with two writing connections, so there is one. It stays open
for the life of the process: with the last connection SQLite removes the log, and then a full disk
could not even be read.
"""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

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
def store_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite or the system refuses into StoreError, DatabaseBusy or DatabaseFull."""
    try:
        yield
    except PoolTimeout as error:
        raise _store_error(
            DatabaseBusy, path, "is busy: another change is being written."
        ) from error
    except DBAPIError as error:
        raise sqlite_error(path, error.orig) from error
    except sqlite3.Error as error:
        raise sqlite_error(path, error) from error
    except OSError as error:
        kind = DatabaseFull if error.errno == errno.ENOSPC else StoreError
        text = f"cannot be written: {error.strerror}."
        raise _store_error(kind, error.filename or path, text) from error


def sqlite_error(path: Path, error: BaseException | None) -> StoreError:
    """Return what an error of SQLite means for the database at `path`."""
    name = getattr(error, "sqlite_errorname", "")
    for prefix, kind, text in _KINDS:
        if name.startswith(prefix):
            return _store_error(kind, path, f"{text}.")
    return _store_error(StoreError, path, f"cannot be used: {error}.")


def _store_error(kind: type[StoreError], path: Path | str, text: str) -> StoreError:
    """Return an error that names the file in its message, and the database in its plain text."""
    return kind(f"{path} {text}", f"The database {text}")


BUSY_S = 5.0
"""How long to wait for a lock of another process."""

_READERS = 8


class Database:
    """Opens sessions that read or write. Thread-safe; writers wait for each other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = engine(path, begin="BEGIN IMMEDIATE", connections=1)
        self._reader = engine(path, begin="BEGIN", connections=_READERS)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session with one consistent view.

        Raises DatabaseBusy, DatabaseFull or StoreError.
        """
        with store_errors(self.path), Session(self._reader) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session with one transaction, committed at the end. Raises as `read`."""
        with store_errors(self.path), Session(self._writer, expire_on_commit=False) as session:
            session.connection()
            yield session
            session.commit()

    def close(self) -> None:
        self._reader.dispose()
        self._writer.dispose()


def engine(path: Path, *, begin: str, connections: int) -> Engine:
    """Make an engine for the file at `path`.

    `begin` is the statement that starts each transaction, schema changes included.
    """
    made = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_S},
        pool_size=connections,
        max_overflow=0,
        pool_timeout=2 * BUSY_S,
    )

    @event.listens_for(made, "connect")
    def connected(connection: Any, record: Any) -> None:
        del record
        connection.isolation_level = None
        for pragma in ("foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(made, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return made
