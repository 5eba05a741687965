"""The write-ahead log beside a database, and whether it belongs to the file that lies there now.

After a kill SQLite replays the log into whatever file has the name of the database: also into a
backup that somebody put there meanwhile, which is damaged by it. So both carry a mark: the log
begins with a change of `user_version`, which the database has had since the log before was moved
into it. A log that does not know the mark of its database is another's.

Layout of both files: https://www.sqlite.org/fileformat2.html, sections 1.3 and 4.
"""

import errno
import os
import secrets
import shutil
import sqlite3
import struct
from collections.abc import Container, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import BinaryIO

from control_plane.domain.errors import StoreError

MARK_AT, MARK_BYTES = 60, 4
"""Where `user_version` stands in the first page."""

MOST_BYTES = 4_000_000
"""How long a log grows before it is moved into the database."""

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_WAL_MODE = b"\x02\x02"
_WAL_MODE_AT = 18
_FILE_HEADER_BYTES = 100
_PATIENCE_MS = 200
"""How long to wait for readers before a log is moved another time."""


def log_path(database: Path) -> Path:
    """Return the path of the log of a database."""
    return database.with_name(f"{database.name}-wal")


def mark(first_page: bytes) -> int:
    """Return the mark in the first page of a database; 0 where it never had one."""
    return int.from_bytes(first_page[MARK_AT : MARK_AT + MARK_BYTES])


def marks(log: Path) -> frozenset[int]:
    """Return the marks that a log holds; none where there is no log, or it is no whole one."""
    try:
        with log.open("rb") as file:
            return frozenset(_marks(file.read()))
    except FileNotFoundError:
        return frozenset()


def _marks(content: bytes) -> Iterator[int]:
    """Yield that of each copy of the first page; frames of a log before have another salt."""
    if len(content) < _HEADER.size:
        return
    _magic, _version, page_bytes, _sequence, *salt, _sum_1, _sum_2 = _HEADER.unpack_from(content)
    for at in range(_HEADER.size, len(content), _FRAME.size + page_bytes):
        if len(content) - at < _FRAME.size + MARK_AT + MARK_BYTES:
            return
        page, _pages, *of_frame, _sum_1, _sum_2 = _FRAME.unpack_from(content, at)
        if of_frame != salt:
            return
        if page == 1:
            yield mark(content[at + _FRAME.size :][: MARK_AT + MARK_BYTES])


def is_due(database: Path, own: Container[int]) -> bool:
    """Return whether a log must be renewed: it is long, or does not begin with one of our marks.

    It begins without one after another program moved it into the database. One that was deleted
    goes on without a name, and is lost with its process: what it holds has to be moved at once.
    """
    log = log_path(database)
    try:
        with log.open("rb") as file:
            begin = file.read(_HEADER.size + _FRAME.size + MARK_AT + MARK_BYTES)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return True
    return size > MOST_BYTES or not any(found in own for found in _marks(begin))


def belongs(database: Path) -> bool:
    """Return whether the log beside a database is its own. An empty one holds nothing."""
    log = log_path(database)
    if not log.exists() or not log.stat().st_size:
        return True
    if not database.exists():
        return False
    with database.open("rb") as file:
        own = mark(file.read(MARK_AT + MARK_BYTES))
    found = marks(log)
    return own in found if found else own == 0


def set_aside(database: Path) -> list[Path]:
    """Rename what SQLite would replay into the database although it is another's.

    Return the new paths. The caller holds the lock of the database.
    """
    stale = [] if belongs(database) else [log_path(database)]
    journal = database.with_name(f"{database.name}-journal")
    if journal.exists() and (not database.exists() or _has_log(database)):
        stale.append(journal)
    if stale or not database.exists():
        # Only an index of the log, made anew from it.
        database.with_name(f"{database.name}-shm").unlink(missing_ok=True)
    return [path.rename(aside(path)) for path in stale]


def keep(database: Path) -> list[Path]:
    """Rename a database and its log, so that they still go together; return the new paths.

    A database that is mounted as a single file, as into a container, cannot be renamed: it is
    copied, and stays.
    """
    if not database.exists():
        return []
    kept, log = aside(database), log_path(database)
    try:
        database.rename(kept)
    except OSError as error:
        if error.errno not in {errno.EBUSY, errno.EXDEV}:
            raise
        _copy(database, kept)
    database.with_name(f"{database.name}-shm").unlink(missing_ok=True)
    try:
        return [kept, *([log.rename(log_path(kept))] if log.exists() else [])]
    except OSError:
        if not database.exists():
            kept.rename(database)
        raise


def _copy(source: Path, target: Path) -> None:
    """Copy a file, so that all of it is on the disk, or nothing."""
    target.touch(0o600, exist_ok=False)
    try:
        with source.open("rb") as old, target.open("wb") as file:
            shutil.copyfileobj(old, file)
            file.flush()
            os.fsync(file.fileno())
        shutil.copystat(source, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def put_in_place(made: Path, database: Path, kept: Sequence[Path]) -> None:
    """Give a file the name of the database, or its content to the one that had to stay there.

    Raises StoreError, which names what is `kept` of it.
    """
    try:
        if database.exists():
            with made.open("rb") as new, database.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, os.fstat(new.fileno()).st_size)
                _write_over(file, new)
        else:
            made.rename(database)
    except OSError as error:
        where = f" What it held is in {kept[0]}." if kept else ""
        raise StoreError(f"{database} cannot be written: {error.strerror}.{where}") from None


def _write_over(file: BinaryIO, new: BinaryIO) -> None:
    """Write the header last: without it the file is no database, whenever a kill comes."""
    header = new.read(_FILE_HEADER_BYTES)
    _write_at(file, 0, bytes(_FILE_HEADER_BYTES))
    file.seek(_FILE_HEADER_BYTES)
    shutil.copyfileobj(new, file)
    file.truncate()
    _write_at(file, 0, header)


def _write_at(file: BinaryIO, place: int, content: bytes) -> None:
    """Write it, and what was written before, so that it is on the disk before what follows."""
    file.flush()
    os.fsync(file.fileno())
    file.seek(place)
    file.write(content)
    file.flush()
    os.fsync(file.fileno())


def _has_log(database: Path) -> bool:
    """Return whether it keeps a log, and therefore never a journal."""
    with database.open("rb") as file:
        return file.read(_WAL_MODE_AT + 2)[_WAL_MODE_AT:] == _WAL_MODE


def aside(path: Path) -> Path:
    """Return a free path beside `path` that tells since when it is kept."""
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    names = (f"{path.name}.{stamp}{f'-{again}' if again else ''}" for again in count())
    return next(free for name in names if not (free := path.with_name(name)).exists())


def new_mark() -> int:
    """Return a mark that no database has."""
    return secrets.randbelow(2**31 - 1) + 1


def renew(connection: sqlite3.Connection, new: int) -> bool:
    """Move the log into the database and begin a new one; both have the mark `new` then.

    Return whether it was done: readers that go on for long leave the log as it is, and the
    database has one of both marks. The connection is the only one that writes, and is outside of
    a transaction.
    """
    patience_ms = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    connection.execute(f"PRAGMA busy_timeout={_PATIENCE_MS}")
    try:
        _write_mark(connection, new)
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            _write_mark(connection, new)
    finally:
        connection.execute(f"PRAGMA busy_timeout={patience_ms}")
    return not busy


def _write_mark(connection: sqlite3.Connection, new: int) -> None:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA user_version={new}")


def cut(database: Path) -> Path | None:
    """Keep a copy of the log and empty it, so that nothing more of it comes into the database.

    For a database that another program wrote over while it was open. Return the copy; None where
    there was nothing.
    """
    log = log_path(database)
    if not log.exists() or not log.stat().st_size:
        return None
    copy = Path(shutil.copy2(log, aside(log)))
    with log.open("r+b") as file:
        file.truncate()
    return copy
