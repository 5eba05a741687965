"""The schema of a database file: made, checked, or brought up to date."""

import os
import sqlite3
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from control_plane.domain.errors import StoreError
from control_plane.store.database import BUSY_S, engine, readable
from control_plane.store.migrations import HEAD
from control_plane.store.preflight import usable

MIGRATIONS = Path(__file__).parent / "migrations"


def check(path: Path) -> str | None:
    """The revision of the file at `path`; None when a database can be made there.

    Raises StoreError, with the file unchanged, for what is not a database of ours or is newer.
    """
    if not usable(path):
        return None
    with readable(path):
        version = schema_version(path)
    if version > HEAD:
        raise StoreError(
            f"{path} has schema {version}, and this Looplab knows schemas up to {HEAD}: "
            "use the newer Looplab, or choose another file with --db."
        )
    return version


def prepare(path: Path) -> None:
    """Leave a database of the present schema at `path`, whose lock the caller holds."""
    version = check(path)
    with readable(path):
        if version is None:
            _create(path)
        elif version < HEAD:
            back_up(path, version)
            migrate(path)


def schema_version(path: Path) -> str:
    """The revision that the file is at, read without changing it."""
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_S)
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if "alembic_version" not in tables or "run_facts" not in tables:
            raise StoreError(
                f"{path} is the database of another program: choose another with --db."
            )
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    finally:
        connection.close()


def back_up(path: Path, version: str) -> Path:
    """Copy the database to a file beside it and name that."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    copy = path.with_name(f"{path.name}.schema-{version}-{stamp}")
    _touch(copy)
    source, target = sqlite3.connect(path, timeout=BUSY_S), sqlite3.connect(copy)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()
    return copy


def migrate(path: Path, revision: str = "head") -> None:
    """Bring the file to `revision` in one transaction."""
    made = engine(path, begin="BEGIN IMMEDIATE", connections=1)
    with ExitStack() as stack:
        stack.callback(made.dispose)
        connection = stack.enter_context(made.connect())
        # Tables that are rebuilt must not take their rows' children with them.
        raw: Any = connection.connection.driver_connection
        raw.execute("PRAGMA foreign_keys=OFF")
        with connection.begin():
            _upgrade(connection, revision)
            if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
                raise StoreError(f"{path} has {len(broken)} rows that point nowhere.")


def _upgrade(connection: object, revision: str) -> None:
    # Alembic takes 0.1 s to import, which a start without a migration need not wait for.
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, revision)


def _create(path: Path) -> None:
    """Under another name until it is whole: a start that is killed leaves no half database."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    _touch(unfinished)
    migrate(unfinished)
    unfinished.rename(path)


def _touch(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
