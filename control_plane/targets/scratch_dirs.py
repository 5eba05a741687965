"""The directories of a target, in which its files and those of the probe lie.

What the probe writes lies in memory. A store into a file on a disk may wait while the system
writes that file back, and the worker would stand still because it is observed.
"""

import errno
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from control_plane.domain.errors import TargetFailed
from control_plane.targets.application import targets_directory

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
    scratch = targets_directory(state_dir) / launch
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
    shutil.rmtree(targets_directory(state_dir), ignore_errors=True)
    with suppress(OSError):
        for folder in SHARED_MEMORY.iterdir():
            if folder.name.startswith(_mark(instance)):
                shutil.rmtree(folder, ignore_errors=True)


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
