"""The files of targets: the directories of each while it runs, and those that people name.

What the probe writes lies in memory. A store into a file on a disk may wait while the system
writes that file back, and the worker would stand still because it is observed. Of what people name
only regular files are read: a FIFO waits for who writes into it, and a device may never end.
"""

import errno
import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from control_plane.domain.errors import TargetFailed

SHARED_MEMORY = Path("/dev/shm")
_ON_DISK = "inside"
OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
"""Whatever a target puts into its directory, to open it waits for nothing and follows no link."""


@dataclass(frozen=True)
class ScratchDirs:
    """The directories of one target, which go when it goes.

    `scratch`: where its files lie; None for what has none. `probe`: where the probe in its workers
    writes; None without the probe.
    """

    scratch: Path | None = None
    probe: Path | None = None

    def remove(self) -> None:
        """Remove both with their content."""
        for folder in (self.scratch, self.probe):
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def create_scratch_dirs(state_dir: Path, instance: str, launch: str, *, probe: bool) -> ScratchDirs:
    """Create the directories of a start. Raises TargetFailed where there is no space or right."""
    scratch = _targets_directory(state_dir) / launch
    try:
        for folder in (state_dir, scratch.parent, scratch):
            folder.mkdir(mode=0o700, exist_ok=True)
        return ScratchDirs(scratch, _probe_directory(scratch, instance, launch) if probe else None)
    except OSError as error:
        why = "disk full" if error.errno == errno.ENOSPC else str(error.strerror)
        raise TargetFailed(f"start: {why}: {error.filename}") from None


def write_files(directories: ScratchDirs, texts: Mapping[str, str]) -> dict[str, Path]:
    """Write what a server is started with, by name; return where it lies, `scratch` among it.

    Texts may name the directory as `{scratch}`. Raises TargetFailed where there is no space.
    """
    scratch = directories.scratch
    if scratch is None:
        return {}
    try:
        for name, text in texts.items():
            path = scratch / name
            path.touch(mode=0o600)
            path.write_text(text.replace("{scratch}", str(scratch)), encoding="utf-8")
    except OSError as error:
        directories.remove()
        raise TargetFailed(f"start: {error.strerror}: {error.filename}") from None
    return {"scratch": scratch, **{name: scratch / name for name in texts}}


def remove_scratch_dirs(state_dir: Path, instance: str) -> None:
    """Remove the directories of every target of this instance."""
    shutil.rmtree(_targets_directory(state_dir), ignore_errors=True)
    with suppress(OSError):
        for folder in SHARED_MEMORY.iterdir():
            if folder.name.startswith(_mark(instance)):
                shutil.rmtree(folder, ignore_errors=True)


def _targets_directory(state_dir: Path) -> Path:
    """Return the directory in which each target has its own while it runs."""
    return state_dir / "targets"


def _probe_directory(scratch: Path, instance: str, launch: str) -> Path:
    """Create the directory for the probe: in memory where we may, else below `scratch`."""
    folder = SHARED_MEMORY / f"{_mark(instance)}{launch}"
    try:
        folder.mkdir(mode=0o700)
    except OSError:
        folder = scratch / _ON_DISK
        folder.mkdir(mode=0o700)
    return folder


def _mark(instance: str) -> str:
    """The beginning of the names in memory."""
    return f"looplab-{instance}-"


_READ_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def read_file(path: Path, most: int) -> bytes:
    """Return the content of a regular file. Raises OSError, also for another or a longer one.

    One that this process has open already, as its database, is refused: closing it another time
    would give up the locks of SQLite.
    """
    _refuse_held(path)
    descriptor = os.open(path, _READ_FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is above the limit of {most:,} bytes", str(path))
    return content


def _refuse_held(path: Path) -> None:
    named = path.stat()
    for held in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            if os.path.samestat(held.stat(), named):
                raise OSError(errno.EBUSY, "this process has it open", str(path))
