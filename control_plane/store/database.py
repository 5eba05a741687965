"""The open database: one connection that writes, a few that read.

SQLite before 3.51.3 can lose commits with two writing connections, so there is one. It stays open
for the life of the process: with the last connection SQLite removes the log, and then a full disk
could not even be read.
"""

import errno
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Select,
    bindparam,
    create_engine,
    event,
    func,
    inspect,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session
from sqlmodel.sql.expression import SelectOfScalar

from control_plane.domain.errors import DatabaseBusy, DatabaseFull, StoreError, UnreadableRun
from control_plane.store import write_ahead_log
from control_plane.store.mapping import readable
from control_plane.store.tables import StoredTable

AnyRow = TypeVar("AnyRow", bound=StoredTable)
Decoded = TypeVar("Decoded")

_KINDS: tuple[tuple[str, type[StoreError], str], ...] = (
    ("SQLITE_BUSY", DatabaseBusy, "is busy: another process holds its lock"),
    ("SQLITE_LOCKED", DatabaseBusy, "is busy: another process holds its lock"),
    ("SQLITE_FULL", DatabaseFull, "cannot grow: its disk is full, so make space there"),
    ("SQLITE_READONLY", StoreError, "cannot be written: it is read-only"),
    ("SQLITE_CANTOPEN", StoreError, "cannot be opened: check the rights of file and folder"),
    ("SQLITE_NOTADB", StoreError, "is not a database: move it away or choose another with --db"),
    (
        "SQLITE_CORRUPT",
        StoreError,
        "is damaged: put a backup in its place with looplab restore FILE, "
        "or choose another with --db",
    ),
)
_MOVED = (
    "was deleted or moved while Looplab runs: put it back. Without it the next start begins with "
    "an empty one"
)
_DELETED = (
    "was deleted while Looplab runs, which alone still has what it held: save that with looplab "
    "backup FILE before Looplab ends, and put it back then with looplab restore FILE. The next "
    "start without that begins with an empty one"
)
_REPLACED = "was replaced while Looplab runs: start Looplab again, which opens what lies there now"
_WRITTEN_OVER = "was written over while Looplab runs: start Looplab again"
_CLOSED = "is closed, because Looplab stops"


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


def read_each(
    session: Session,
    chosen: SelectOfScalar[AnyRow],
    kind: str,
    make: Callable[[AnyRow], Decoded],
) -> list[Decoded]:
    """Return what `make` makes of each row of a table; odd ones are left out, and logged.

    So that what something else changed in one row costs no list that it stands in.
    """
    with suppress(UnreadableRun), readable("of a list", kind=kind):
        return [make(checked_row(row)) for row in session.exec(chosen)]
    table: type[AnyRow] = chosen.column_descriptions[0]["entity"]
    keys = chosen.with_only_columns(*inspect(table).primary_key)
    found = []
    for key in session.connection().execute(keys):
        with suppress(UnreadableRun), readable(str(key[0]), kind=kind):
            found.append(make(checked_row(session.get_one(table, tuple(key)))))
    return found


def checked_row(row: AnyRow) -> AnyRow:
    """Return the row. Raises TypeError for what its table does not hold: SQLite takes any type."""
    for name, field in type(row).model_fields.items():
        kind: Any = field.annotation
        if not isinstance(value := getattr(row, name), kind):
            raise TypeError(f"{type(value).__name__} in the place of {kind} as {name}")
    return row


LOST_TRIALS = """
SELECT run, block FROM (
    SELECT run, block FROM trial_stream AS stream WHERE NOT EXISTS (
        SELECT 1 FROM trial WHERE trial.run = stream.run AND trial.block = stream.block
    )
    UNION ALL
    SELECT run, block FROM (
        SELECT trial.run AS run, trial.block AS block, state, (
            SELECT count(*) FROM trial_stream AS stream
            WHERE stream.run = trial.run AND stream.block = trial.block
        ) AS streams, (
            SELECT count(*) FROM run_stream WHERE run_stream.run = trial.run
        ) AS merged
        FROM trial JOIN run ON run.seq = trial.run
    )
    WHERE streams < max(1, merged) OR (state = 'finished' AND merged < streams)
)
"""
"""Trials without their streams, and streams without their trial; `WHERE run …` after it chooses.

A trial has a stream at least, and as many as the result, which each finished run has.
"""
_OF_RUNS = sqlalchemy.text(f"{LOST_TRIALS} WHERE run IN :seqs LIMIT 1").bindparams(
    bindparam("seqs", expanding=True)
)


def refuse_lost_trials(session: Session, seqs: Collection[int]) -> None:
    """Raise ValueError where a trial of these runs, or a stream of one, is gone."""
    if lost := session.connection().execute(_OF_RUNS, {"seqs": [*seqs]}).first():
        raise ValueError(f"trial {lost.block} is gone, or some of its streams are")


BUSY_S = 5.0
"""How long to wait for a lock of another process."""

_READERS = 8
_OPENED = {"mode": "rw", "uri": "true"}
_PRAGMAS = (
    "foreign_keys=ON",
    "journal_mode=WAL",
    "synchronous=FULL",
    "wal_autocheckpoint=0",
    "secure_delete=ON",
)
"""The log is moved into the database by `Database` alone, which marks both."""


class Database:
    """Opens sessions that read or write. Thread-safe; writers wait for each other.

    What people do with the file meanwhile is noticed at each session: nothing is written, and
    nothing counts as written, while the file at the path is another.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Closed last: with any descriptor of a file a process gives up SQLite's locks on it.
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._marks = {self._mark()}
        self._is_renewed = self._is_closed = False
        self._renewal = threading.Lock()
        self._view: ContextVar[Session | None] = ContextVar("view", default=None)
        self._writer = engine(path, begin="BEGIN IMMEDIATE", connections=1)
        self._reader = engine(path, begin="BEGIN", connections=_READERS)
        for connecting in (self._writer, self._reader):
            event.listen(connecting, "connect", self._refuse_late, insert=True)
        try:
            with store_errors(path):
                self._renew()
                # All of them now: a later one would open what lies at the path then.
                for connection in [self._reader.connect() for _ in range(_READERS)]:
                    connection.close()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session with one consistent view.

        Raises DatabaseBusy, DatabaseFull or StoreError.
        """
        with store_errors(self.path):
            if self._is_closed:
                raise self._other_file(_CLOSED)
            if self._cut_if_written_over():
                raise self._other_file(_WRITTEN_OVER)
            if (opened := self._view.get()) is not None:
                yield opened
                return
            with Session(self._reader) as session:
                yield session

    @contextmanager
    def one_view(self) -> Iterator[None]:
        """Let all reads inside share one session, and so one consistent view.

        A page reads a dozen times: to open a session takes as long as what most of them ask for.
        """
        with Session(self._reader) as session:
            token = self._view.set(session)
            try:
                yield
            finally:
                self._view.reset(token)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session with one transaction, committed at the end. Raises as `read`."""
        self._refuse_other_file()
        with store_errors(self.path):
            with Session(self._writer, expire_on_commit=False) as session:
                connection = session.connection()
                if not self._is_renewed:
                    # A log without a mark would count as another's after a kill.
                    connection.exec_driver_sql(f"PRAGMA user_version={self._mark()}")
                yield session
                self._refuse_other_file()
                session.commit()
            if not self._is_renewed or write_ahead_log.is_due(self.path, self._marks):
                self._renew()
        self._refuse_other_file()

    def fault(self) -> str | None:
        """Return what happened to the file while it was open, without its path; None if nothing."""
        if self._is_closed:
            return _CLOSED
        if self._cut_if_written_over():
            return _WRITTEN_OVER
        try:
            opened, there = os.fstat(self._file), self.path.stat()
        except OSError:
            return _MOVED if os.fstat(self._file).st_nlink else _DELETED
        same = (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino)
        return None if same else _REPLACED

    def lies_at(self, path: Path) -> bool:
        """Return whether the open file is the one at `path`, wherever it was opened."""
        return path.exists() and os.path.samestat(path.stat(), os.fstat(self._file))

    def held_uri(self) -> str:
        """Return the address by which this process opens the file once more, to read.

        SQLite alone may open it, and by no `immutable` address: whoever closes any other descriptor
        of it gives up the locks of this process, and another program then deletes the log. Raises
        StoreError while another file lies at the path, which the log is not of.
        """
        self._refuse_other_file()
        return f"file:{quote(str(self.path))}?mode=ro"

    def empty_log(self) -> None:
        """Move the log into the file now, so that nothing deleted stays in it.

        Where that cannot be done now, it is done with the next change.
        """
        with suppress(StoreError), store_errors(self.path):
            self._renew()

    def close(self) -> None:
        """Close all connections; with the last one SQLite moves the log into the database.

        Whoever reads or writes from now on gets a StoreError.
        """
        self._cut_if_written_over()
        self._is_closed = True
        self._reader.dispose()
        self._writer.dispose()
        with self._renewal:  # Nobody looks at a file that gets the same number.
            os.close(self._file)

    def _refuse_late(self, connection: Any, record: Any) -> None:
        """Refuse a connection that is opened later: to the file that lies at the path then.

        It would read the log of the file before, and move it into the other when it is closed.
        """
        del record
        if (fault := self.fault()) is not None:
            connection.close()
            raise self._other_file(fault)

    def _refuse_other_file(self) -> None:
        if (fault := self.fault()) is not None:
            raise self._other_file(fault)

    def _other_file(self, fault: str) -> StoreError:
        return _store_error(StoreError, self.path, f"{fault}.")

    def _cut_if_written_over(self) -> bool:
        """Return whether another program wrote over the file; then no log reaches it any more."""
        if self._mark() in self._marks:
            return False
        with self._renewal:  # The marks may have changed between both looks.
            if self._is_closed or self._mark() in self._marks:
                return False
            write_ahead_log.cut(self.path)
            return True

    def _mark(self) -> int:
        size = write_ahead_log.MARK_AT + write_ahead_log.MARK_BYTES
        return write_ahead_log.mark(os.pread(self._file, size, 0))

    def _renew(self) -> None:
        """Begin a new log where that can be done now; else the one that is there grows on."""
        self._is_renewed = False
        new = write_ahead_log.new_mark()
        with (
            self._writer.connect() as connection,
            self._renewal,
            suppress(sqlite3.OperationalError),
        ):
            self._marks.add(new)
            raw: Any = connection.connection.driver_connection
            if write_ahead_log.renew(raw, new):
                self._marks = {new}
                self._is_renewed = True


def engine(path: Path, *, begin: str, connections: int) -> Engine:
    """Make an engine for the file at `path`.

    `begin` is the statement that starts each transaction, schema changes included. Errors do not
    tell values, which may be secret, and what is deleted is overwritten.
    """
    made = create_engine(
        # Not made where it is missing: somebody moved it away.
        URL.create("sqlite", database=f"file:{quote(str(path))}", query=_OPENED),
        hide_parameters=True,
        connect_args={"timeout": BUSY_S},
        pool_size=connections,
        max_overflow=0,
        pool_timeout=2 * BUSY_S,
        # Those that few need stay without pages of the file in their memory.
        pool_use_lifo=True,
    )

    @event.listens_for(made, "connect")
    def connected(connection: Any, record: Any) -> None:
        del record
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(made, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return made


def json_values(values: Iterable[object]) -> str:
    """Return values as a JSON array; what is neither number nor text no row of ours has."""
    return json.dumps([value for value in values if isinstance(value, int | str)])


@cache
def rows_among(column: Any, *columns: Any, order: tuple[Any, ...] = ()) -> Select[Any]:
    """Return the query of rows whose `column` has one of the `values`, a parameter: `json_values`.

    Of the same columns it is the same each time: to build a query takes as long as to ask it.
    """
    values = func.json_each(bindparam("values")).table_valued("value")
    chosen = sqlalchemy.select(*columns).where(column.in_(sqlalchemy.select(values.c.value)))
    return chosen.order_by(*order)
