"""Copies of a database: `looplab backup` makes them, `looplab restore` puts them back."""

from pathlib import Path

from control_plane.domain.errors import StoreError
from control_plane.store.instance_lock import Lock
from control_plane.store.schema import check, check_backup, copy_database
from control_plane.store.write_ahead_log import aside, log_path, set_aside


def back_up(database: Path, copy: Path) -> None:
    """Copy a database as it is at this moment, also while a dashboard writes to it.

    Raises StoreError when there is none, and when something lies at `copy`; then it stays.
    """
    source, target = database.expanduser().resolve(), copy.expanduser().resolve()
    if check(source) is None:
        raise StoreError(f"There is no database at {source}: name one with --db.")
    copy_database(source, target)


def restore(database: Path, backup: Path) -> list[Path]:
    """Put a copy of `backup` in the place of the database, and return where that is kept now.

    Raises DatabaseOwned while a control plane has the database, and StoreError for a backup that
    is damaged, newer, or no database of Looplab; then the database is as it was.
    """
    path, source = database.expanduser().resolve(), backup.expanduser().resolve()
    check_backup(source)
    lock = Lock(path)
    try:
        lock.hold(path)
        unfinished = path.with_name(f"{path.name}.new")
        unfinished.unlink(missing_ok=True)
        copy_database(source, unfinished)
        kept = [*_keep(path), *set_aside(path)]
        unfinished.rename(path)
        return kept
    finally:
        lock.release()


def _keep(path: Path) -> list[Path]:
    """Rename a database and its log, so that they still go together."""
    if not path.exists():
        return []
    kept = aside(path)
    log, index = log_path(path), path.with_name(f"{path.name}-shm")
    index.unlink(missing_ok=True)
    path.rename(kept)
    return [kept, *([log.rename(log_path(kept))] if log.exists() else [])]
