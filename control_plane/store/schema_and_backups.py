"""The schema of a database file: made, checked, brought up to date; its copies, and put back.

A new revision is a function in `migrations.py`, its number in `UPGRADES` there, `HEAD` here, and
the tables as they are after it.
"""

import logging
import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection

from control_plane.domain.errors import StoreError
from control_plane.store.database import BUSY_S, engine, store_errors
from control_plane.store.instance_lock import Lock, held_files, is_writable
from control_plane.store.write_ahead_log import (
    belongs,
    keep,
    log_path,
    new_mark,
    put_in_place,
    set_aside,
)

HEAD = "0028"
"""The newest revision in `UPGRADES`; they are numbered from 0001 on, and sort as text."""
SQLITE_MAGIC = b"SQLite format 3\x00"
_REMEDY = "choose another with --db"

log = logging.getLogger("looplab.store")


def check(path: Path) -> str | None:
    """Return the revision of the file at `path`; None when a database can be made there.

    Raises StoreError, with the file unchanged, for what is not a database of ours or is newer.
    """
    if not usable(path):
        return None
    with left_as_found(path) as uri:
        return _known_schema(path, uri)


def check_backup(path: Path) -> None:
    """Raise StoreError for what is no database of ours, is newer, or cannot be read."""
    try:
        if not path.exists():
            raise StoreError(f"There is no backup at {path}.")
        _refuse_other_files(path, path.stat())
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from None
    _known_schema(path, backup_uri(path))


def _known_schema(path: Path, uri: str) -> str:
    with store_errors(path):
        version = schema_version(path, uri)
    if version == "0000" or not re.fullmatch("[0-9]{4}", version):
        raise StoreError(
            f"{path} says that its schema is {version[:40]!r}, which none is: put a backup in its "
            f"place with looplab restore FILE, or {_REMEDY}."
        )
    if version > HEAD:
        raise StoreError(
            f"{path} has schema {version}, and this Looplab knows schemas up to {HEAD}: "
            "use the newer Looplab, or choose another file with --db."
        )
    return version


def usable(path: Path) -> bool:
    """Return whether a file stands at `path`; False when a database can be made there.

    Raises StoreError for a file that is not a database, or that cannot be written.
    """
    try:
        return _usable(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from None


def _usable(path: Path) -> bool:
    if not path.parent.is_dir():
        raise StoreError(f"There is no folder {path.parent}: make it, or {_REMEDY}.")
    if not path.exists():
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise StoreError(f"{path.parent} cannot be written: {_REMEDY}.")
        return False
    found = path.stat()
    # Root may write what the mode forbids; whoever made it read-only meant it.
    if stat.S_ISREG(found.st_mode) and not (found.st_mode & 0o222 and os.access(path, os.W_OK)):
        raise StoreError(f"{path} is read-only: allow writing, or {_REMEDY}.")
    _refuse_other_files(path, found)
    return True


def _refuse_other_files(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path} is not a file: {_REMEDY}.")
    if not found.st_size:
        raise StoreError(f"{path} is empty, not a database: delete it, or {_REMEDY}.")
    with path.open("rb") as file:
        if file.read(len(SQLITE_MAGIC)) != SQLITE_MAGIC:
            raise StoreError(f"{path} is not a database: move it away, or {_REMEDY}.")


def prepare(path: Path) -> None:
    """Make the database at `path`, or bring it up to date. The caller holds its lock.

    A log that another database left there is set aside, and named. Raises StoreError, and leaves
    all as it is, where the log lies beside another name of the file.
    """
    with store_errors(path):
        _refuse_other_name(path)
        for kept in set_aside(path):
            log.warning("A log of another database lay beside %s: it is kept as %s.", path, kept)
    version = check(path)
    with store_errors(path):
        if version is None:
            _create(path)
        elif version < HEAD:
            _back_up(path, version)
            migrate(path)


def _refuse_other_name(path: Path) -> None:
    """Raise StoreError for a hard link whose log SQLite would not find: it goes by the name."""
    if not path.exists() or path.stat().st_nlink == 1:
        return
    for other in path.parent.iterdir():
        log_of_other = log_path(other)
        if other == path or not (log_of_other.exists() and log_of_other.stat().st_size):
            continue
        if other.is_file() and other.samefile(path) and belongs(other):
            raise StoreError(
                f"{path} is {other.name} by another name, and {log_of_other.name} holds changes of "
                f"it: start it by that name, with --db {other}."
            )


def schema_version(path: Path, uri: str | None = None) -> str:
    """Return the revision that the file is at, read without changing it, by another `uri` if given.

    The log beside it counts where it is its own.
    """
    with closing(_reading(uri or read_only_uri(path))) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if "alembic_version" not in tables or "run_facts" not in tables:
            raise StoreError(
                f"{path} is the database of another program: choose another with --db."
            )
        found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        return ", ".join(str(version) for (version,) in found)


def instance_of(path: Path) -> str | None:
    """Return the random id of a database of ours, read without changing it. Raises StoreError."""
    with store_errors(path), left_as_found(path) as uri, closing(_reading(uri)) as connection:
        row = connection.execute("SELECT instance FROM meta").fetchone()
        return str(row[0]) if row else None


def _reading(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=BUSY_S)


def read_only_uri(path: Path) -> str:
    """Return the address by which SQLite reads a database and changes nothing of it.

    A log of another is not read.
    """
    mode = "mode=ro" if belongs(path) else "immutable=1"
    return f"file:{quote(str(path))}?{mode}"


@contextmanager
def left_as_found(path: Path) -> Iterator[str]:
    """Give the address of `read_only_uri`; no log is left beside a database that had none.

    Whoever only reads cannot take away the log that this makes; the last that may write does.
    """
    had_log = log_path(path).exists()
    try:
        yield read_only_uri(path)
    finally:
        if not had_log and log_path(path).exists():
            uri = f"file:{quote(str(path))}?mode=rw"
            with suppress(sqlite3.Error), closing(_reading(uri)) as connection:
                connection.execute("SELECT 1 FROM sqlite_master").fetchone()


def backup_uri(path: Path) -> str:
    """Return the same for a file that nobody writes: nothing is left beside one without a log."""
    return (
        read_only_uri(path) if log_path(path).exists() else f"file:{quote(str(path))}?immutable=1"
    )


def _back_up(path: Path, version: str) -> None:
    """Copy the database to a file beside it, named after its schema and the time."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    copy_database(path, path.with_name(f"{path.name}.schema-{version}-{stamp}"))


def copy_database(source: Path, target: Path, uri: str | None = None) -> None:
    """Copy a database with what its log holds to a new file, which only its owner may read.

    `uri` is the address by which it is read, that of `read_only_uri` if none is given. Raises
    StoreError, and leaves no file, where that is there already or what is copied is damaged.
    """
    try:
        _touch(target)
    except OSError as error:
        raise StoreError(f"{target} cannot be made: {error.strerror}.") from None
    try:
        with (
            store_errors(target),
            left_as_found(source) as found,
            closing(_reading(uri or found)) as read,
            closing(sqlite3.connect(target)) as written,
        ):
            read.backup(written)
            _refuse_damaged(source, written)
            # Of its own, so that no log of the source is replayed into it.
            written.execute(f"PRAGMA user_version={new_mark()}")
    except BaseException:
        target.unlink()
        raise


def _refuse_damaged(source: Path, copy: sqlite3.Connection) -> None:
    if (found := copy.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
        raise StoreError(f"{source} is damaged: {found.splitlines()[0]}.")


def migrate(path: Path, revision: str | None = None) -> None:
    """Bring the file to `revision`, the newest where none is named, in one transaction."""
    made = engine(path, begin="BEGIN IMMEDIATE", connections=1)
    with ExitStack() as stack:
        stack.callback(made.dispose)
        connection = stack.enter_context(made.connect())
        # Tables that are rebuilt must not take their rows' children with them.
        raw: Any = connection.connection.driver_connection
        raw.execute("PRAGMA foreign_keys=OFF")
        with connection.begin():
            _upgrade(connection, revision or HEAD)
            if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
                raise StoreError(f"{path} has {len(broken)} rows that point nowhere.")


_VERSION_TABLE = """
CREATE TABLE IF NOT EXISTS alembic_version (
    version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)
"""


def _upgrade(connection: Connection, revision: str) -> None:
    """Make each revision up to `revision` that the database has not yet."""
    # Alembic takes 0.1 s to import, which a start without a migration need not wait for.
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    from control_plane.store import migrations

    connection.exec_driver_sql(_VERSION_TABLE)
    context = MigrationContext.configure(connection)
    version = context.get_current_revision() or ""
    for number, upgrade in migrations.UPGRADES.items():
        if version < number <= revision:
            upgrade(Operations(context))
    connection.exec_driver_sql("DELETE FROM alembic_version")
    connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (revision,))


def _create(path: Path) -> None:
    """Make it under another name until it is whole: a killed start leaves no half database."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    make_new(unfinished)
    unfinished.rename(path)


def make_new(path: Path, revision: str | None = None) -> None:
    """Make a database of some revision, the newest where none is named, as its migrations do."""
    _touch(path)
    migrate(path, revision)


_SCHEMA = """
SELECT sql FROM sqlite_master
WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
AND name NOT LIKE 'run\\_text\\_%' ESCAPE '\\'
ORDER BY type != 'table', rowid
"""
"""What makes the tables anew; those behind the index of texts come with it."""


def make_empty(path: Path, like: str) -> None:
    """Make a database with the schema of another and no row, which only its owner may read.

    `like` is the address of the other, of `read_only_uri` or `Database.held_uri`.

    Raises StoreError where something lies there already.
    """
    try:
        _touch(path)
        with (
            closing(sqlite3.connect(like, uri=True, timeout=BUSY_S)) as source,
            closing(sqlite3.connect(path)) as made,
            made,
        ):
            made.execute("BEGIN")
            for (statement,) in source.execute(_SCHEMA):
                made.execute(statement)
            version = source.execute("SELECT version_num FROM alembic_version").fetchone()
            made.execute("INSERT INTO alembic_version VALUES (?)", version)
    except FileExistsError:
        raise StoreError(f"{path} is there already: name another file.") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be made: {error.strerror}.") from None


def _touch(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def back_up(database: Path, copy: Path) -> None:
    """Copy a database as it is at this moment, also while a dashboard writes to it.

    One that was deleted is copied from what a running dashboard still has open. Raises StoreError
    when there is none, and when something lies at `copy`; then it stays.
    """
    source, target = database.expanduser().resolve(), copy.expanduser().resolve()
    if source.exists() and is_writable(source):
        check_backup(source)
        copy_database(source, target)
    elif source.exists():
        copy_with_log(source, log_path(source), target)
    elif (held := held_files(source)) is not None:
        copy_with_log(held.database, held.log, target)
    else:
        raise StoreError(f"There is no database at {source}: name one with --db.")


def copy_with_log(database: Path, log: Path | None, target: Path) -> None:
    """Copy a database beside which SQLite can make nothing, by way of a copy with its log.

    Raises StoreError as `copy_database` does, and for what is no database of ours.
    """
    with store_errors(database), TemporaryDirectory(dir=target.parent) as folder:
        copied = Path(folder, database.name)
        shutil.copyfile(database, copied)
        if log is not None and log.exists():
            shutil.copyfile(log, log_path(copied))
        try:
            check_backup(copied)
            copy_database(copied, target)
        except StoreError as error:
            raise StoreError(str(error).replace(str(copied), str(database))) from None


def restore(database: Path, backup: Path) -> list[Path]:
    """Put a copy of `backup` in the place of the database, and return where that is kept now.

    Raises DatabaseOwned while a control plane has the database, and StoreError for a backup that
    is damaged, newer, or no database of Looplab; then the database is as it was. So it does where
    the system refuses a step, and names what is kept then.
    """
    path, source = database.expanduser().resolve(), backup.expanduser().resolve()
    unfinished = path.with_name(f"{path.name}.new")
    check_backup(source)
    lock = Lock(path)
    try:
        lock.hold(path)
        with store_errors(path):
            unfinished.unlink(missing_ok=True)
            copy_database(source, unfinished, backup_uri(source))
            kept = [*keep(path), *set_aside(path)]
        put_in_place(unfinished, path, kept)
        return kept
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        lock.release()
