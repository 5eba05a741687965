"""The lock file beside the database: who holds it, and where its dashboard is.

The kernel's lock on the open file decides; it ends with its process, however that ends. The
content only tells who it is. The database itself is locked too, for those who come to it by
another name, or after the lock file was deleted.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from control_plane.domain.errors import DatabaseOwned, StoreError

_PATIENCE_S = 1.0
_TICK_S = 0.02
_CLOCK_SLACK_S = 2.0


@dataclass(frozen=True)
class Holder:
    """The control plane that holds a database; `url` None: it has no site.

    `token` is what its site asks for; None where it asks for nothing.
    """

    pid: int
    url: str | None
    started: datetime
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class HeldFiles:
    """A deleted database that a process still has open, and the paths by which it can be read.

    `log` None: it has none open.
    """

    pid: int
    database: Path
    log: Path | None


class Lock:
    """The lock of a database, held from construction to `release`.

    Raises DatabaseOwned, or StoreError without rights.
    """

    def __init__(self, database: Path) -> None:
        self._path = lock_path(database)
        self._started = datetime.now(UTC)
        self._database: int | None = None
        self._open(database)
        while not self._is_named():  # Its holder took the file away while this waited for it.
            os.close(self._file)
            self._open(database)
        self.announce(None)

    def announce(self, url: str | None, token: str | None = None) -> None:
        """Write the dashboard's address and token into the file, for other commands of this user.

        Raises StoreError where others could read the token there.
        """
        content = {"pid": os.getpid(), "url": url, "started": self._started.isoformat()}
        if token:
            self._hide()
            content["token"] = token
        text = json.dumps(content).encode()
        os.pwrite(self._file, text, 0)
        os.ftruncate(self._file, len(text))

    def hold(self, database: Path) -> None:
        """Lock the file of the database, once it is there.

        Raises DatabaseOwned when it is open in another control plane under another name.
        """
        if self._database is not None or not database.exists():
            return
        file = os.open(database, os.O_RDONLY | os.O_CLOEXEC)
        if not _flock(file, fcntl.LOCK_EX):
            inode = os.fstat(file).st_ino
            os.close(file)
            raise _owned_elsewhere(database, inode)
        self._database = file

    def release(self) -> None:
        """Give the lock up, and leave no file of it where the folder can be written."""
        if self._database is not None:
            os.close(self._database)
        with contextlib.suppress(OSError):
            if self._is_named():
                self._path.unlink()
        os.ftruncate(self._file, 0)
        os.close(self._file)

    def _open(self, database: Path) -> None:
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}.") from None
        try:
            self._take(database)
        except BaseException:
            os.close(self._file)
            raise

    def _is_named(self) -> bool:
        """Return whether the open file is the one that others find."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def _hide(self) -> None:
        """Leave the file to this user alone; it may have been there before, or be another's."""
        status = os.fstat(self._file)
        if status.st_uid != os.geteuid():
            raise StoreError(
                f"{self._path} belongs to another user, who could read the token there."
            )
        if status.st_mode & 0o077:
            os.fchmod(self._file, 0o600)

    def _take(self, database: Path) -> None:
        """Wait a moment for a holder that has not written its pid yet, or only looks."""
        deadline = time.monotonic() + _PATIENCE_S
        while not _flock(self._file, fcntl.LOCK_EX):
            holder = _holder(self._path)
            if holder is not None and _lives(holder):
                raise _owned(database, holder)
            if time.monotonic() > deadline:
                raise _owned(database, None)
            time.sleep(_TICK_S)


def lock_path(database: Path) -> Path:
    """Return the path of the lock file of a database."""
    return database.with_name(database.name + ".lock")


def is_writable(database: Path) -> bool:
    """Return whether a database can be changed, which needs its folder as well: lock and log.

    Root may write what a mode forbids; whoever made it read-only meant it.
    """
    paths = (database, database.parent)
    return all(path.stat().st_mode & 0o222 and os.access(path, os.W_OK) for path in paths)


def read_lock(database: Path) -> Holder | None:
    """Return who holds the database now; None when nobody does."""
    path = lock_path(database.expanduser().resolve())
    with _opened(path) as file:
        if file is None or _flock(file, fcntl.LOCK_SH):
            return None
    holder = _holder(path)
    return holder if holder is not None and _lives(holder) else None


def held_files(database: Path) -> HeldFiles | None:
    """Return the deleted database that another process of this user has open.

    The last changed of several. None where none is seen, or a file lies at the path.
    """
    path = database.expanduser().resolve()
    if path.exists():
        return None
    # Whoever closes a descriptor of a file gives up the locks of its own process on it.
    own = str(os.getpid())
    folders = (folder for folder in Path("/proc").glob("[0-9]*/fd") if folder.parent.name != own)
    found = [held for folder in folders if (held := _held_in(folder, path))]
    return max(found, key=lambda held: held.database.stat().st_mtime_ns, default=None)


def _held_in(folder: Path, path: Path) -> HeldFiles | None:
    opened: dict[str, Path] = {}
    with contextlib.suppress(OSError):
        for descriptor in folder.iterdir():
            opened[str(descriptor.readlink())] = descriptor
    deleted = opened.get(f"{path} (deleted)")
    if deleted is None:
        return None
    log = f"{path}-wal"
    return HeldFiles(
        int(folder.parent.name), deleted, opened.get(f"{log} (deleted)", opened.get(log))
    )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        yield file
    finally:
        os.close(file)


def _flock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(path: Path) -> Holder | None:
    """None while nothing readable is written."""
    try:
        content = json.loads(path.read_text("utf-8"))
        return Holder(
            int(content["pid"]),
            content["url"],
            datetime.fromisoformat(content["started"]),
            content.get("token"),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lives(holder: Holder) -> bool:
    """Whether the process still is the one that wrote its pid: a later one has that pid anew."""
    try:
        born_s = psutil.Process(holder.pid).create_time()
    except psutil.Error:
        return False
    return born_s <= holder.started.timestamp() + _CLOCK_SLACK_S


def _owned_elsewhere(database: Path, inode: int) -> DatabaseOwned:
    """Name the process that locked a file by its inode, as /proc/locks lists it."""
    for line in _lines(Path("/proc/locks")):
        _number, kind, _mode, _access, pid, device_and_inode, *_ = line.split()
        if kind == "FLOCK" and device_and_inode.rpartition(":")[2] == str(inode):
            message = f"{database} is in use by another Looplab: process {pid}."
            return DatabaseOwned(message, int(pid))
    return _owned(database, None)


def _lines(path: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return path.read_text("utf-8").splitlines()
    return []


def _owned(database: Path, holder: Holder | None) -> DatabaseOwned:
    if holder is None:
        return DatabaseOwned(f"{database} is in use by another Looplab.", 0)
    where = f" at {holder.url}" if holder.url else ""
    message = f"{database} is in use by another Looplab: process {holder.pid}{where}."
    return DatabaseOwned(message, holder.pid, holder.url)
