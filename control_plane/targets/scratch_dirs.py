"""The folders of one target: where its files lie, and where its workers tell what goes on in them.

What workers tell lies in memory. A store into a file on a disk may wait while the system writes
that file back, and the worker would stand still because it is looked at.
"""

import errno
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from control_plane.domain.errors import TargetFailed
from control_plane.targets.application import targets_directory

SHARED = Path("/dev/shm")
_INSIDE = "inside"


@dataclass(frozen=True)
class ScratchDirs:
    """`scratch` is None for what has no files, `inside` where the workers are not looked into."""

    scratch: Path | None = None
    inside: Path | None = None

    def remove(self) -> None:
        for folder in (self.scratch, self.inside):
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def create_scratch_dirs(state_dir: Path, instance: str, launch: str, *, probe: bool) -> ScratchDirs:
    """For the start `launch`. Raises TargetFailed where there is no space or no right."""
    scratch = targets_directory(state_dir) / launch
    try:
        for folder in (state_dir, scratch.parent, scratch):
            folder.mkdir(mode=0o700, exist_ok=True)
        return ScratchDirs(scratch, _inside(scratch, instance, launch) if probe else None)
    except OSError as error:
        why = "disk full" if error.errno == errno.ENOSPC else str(error.strerror)
        raise TargetFailed(f"start: {why}: {error.filename}") from None


def remove_scratch_dirs(state_dir: Path, instance: str) -> None:
    """Of every target of this instance."""
    shutil.rmtree(targets_directory(state_dir), ignore_errors=True)
    with suppress(OSError):
        for folder in SHARED.iterdir():
            if folder.name.startswith(_mark(instance)):
                shutil.rmtree(folder, ignore_errors=True)


def _inside(scratch: Path, instance: str, launch: str) -> Path:
    """In memory where we may make it there."""
    folder = SHARED / f"{_mark(instance)}{launch}"
    try:
        folder.mkdir(mode=0o700)
    except OSError:
        folder = scratch / _INSIDE
        folder.mkdir(mode=0o700)
    return folder


def _mark(instance: str) -> str:
    return f"looplab-{instance}-"
