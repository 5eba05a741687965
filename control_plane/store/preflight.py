"""What stands at the database's path, looked at without changing it."""

import os
import stat
from pathlib import Path

from control_plane.domain.errors import StoreError

_MAGIC = b"SQLite format 3\x00"
_REMEDY = "choose another with --db"


def usable(path: Path) -> bool:
    """False when nothing is there and a database can be made.

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
    _refuse(path, path.stat())
    return True


def _refuse(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path} is not a file: {_REMEDY}.")
    if not found.st_size:
        raise StoreError(f"{path} is empty, not a database: delete it, or {_REMEDY}.")
    # Root may write what the mode forbids; whoever made it read-only meant it.
    if not found.st_mode & 0o222 or not os.access(path, os.W_OK):
        raise StoreError(f"{path} is read-only: allow writing, or {_REMEDY}.")
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise StoreError(f"{path} is not a database: move it away, or {_REMEDY}.")
