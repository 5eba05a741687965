"""The environment of a target: its variables and its directories.

A target gets a list of variables that may pass, and what its settings name.

What the probe writes lies in memory. A store into a file on a disk may wait while the system
writes that file back, and the worker would stand still because it is observed.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from control_plane.domain.errors import TargetFailed
from control_plane.domain.spec import BUNDLED, DEFAULT_THREADS, Target
from control_plane.targets.application import Application, settings_variables, targets_directory
from control_plane.targets.inside.looplab_probe.ring import THREADS_VARIABLE

PROBE_SOURCE = Path(__file__).parent / "inside"
PASSED_ON = {
    "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER",
    "VIRTUAL_ENV",
}  # fmt: skip
INSTANCE = "LOOPLAB_INSTANCE"
LAUNCH = "LOOPLAB_LAUNCH"
SHORTEST_SECRET = 6
"""A shorter value, such as `1` or `debug`, would blank out half of what a server prints."""


def target_environment(
    application: Application, target: Target, instance: str, launch: str
) -> dict[str, str]:
    """Built from a list of what may pass, so that no secret of the control plane reaches a target.

    `instance` and `launch` mark every process that comes from this start. Raises TargetFailed when
    the file of variables cannot be read.
    """
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith("LC_")
    }
    variables = (
        passed
        | _virtual_environment_of(application)
        | settings_variables(target)
        | configured_variables(application)
    )
    paths = filter(None, (str(PROBE_SOURCE), variables.get("PYTHONPATH")))
    marks = {INSTANCE: instance, LAUNCH: launch, "PYTHONPATH": os.pathsep.join(paths)}
    return variables | _pool_size_of(target) | marks


def _pool_size_of(target: Target) -> dict[str, str]:
    """For the look inside; the bundled application sizes its pool by its own settings."""
    if target.application == BUNDLED or target.threads in {None, DEFAULT_THREADS}:
        return {}
    return {THREADS_VARIABLE: str(target.threads)}


def configured_variables(application: Application) -> dict[str, str]:
    """What the settings give it. A fixed value wins over our environment, that over the file."""
    named = {name: os.environ[name] for name in application.passed_on if name in os.environ}
    return _file_of(application) | named | dict(application.environment)


def secret_variables(application: Application) -> dict[str, str]:
    """The values that no log line may show, by name; the longest first."""
    values = configured_variables(application) if application.own else {}
    long = {name: value for name, value in values.items() if len(value) >= SHORTEST_SECRET}
    return dict(sorted(long.items(), key=lambda one: -len(one[1])))


def missing_variables(application: Application) -> Iterator[str]:
    """The names of the list that neither our environment nor the file has."""
    there = {*os.environ, *_file_of(application), *application.environment}
    yield from (name for name in application.passed_on if name not in there)


def _file_of(application: Application) -> dict[str, str]:
    path = application.env_file
    if path is None:
        return {}
    try:
        with path.open(encoding="utf-8") as lines:
            values = dotenv_values(stream=lines, interpolate=False)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise TargetFailed(f"start: env_file {path} cannot be read: {why}") from None
    if any("\0" in f"{name}{value}" for name, value in values.items()):
        raise TargetFailed(f"start: env_file {path} has a NUL byte: take it out")
    return {name: value for name, value in values.items() if value is not None}


def _virtual_environment_of(application: Application) -> dict[str, str]:
    """Its own virtual environment comes first on PATH, and ours is not taken for it."""
    if application.python is None:
        return {}
    programs = application.python.parent
    place = {"PATH": os.pathsep.join((str(programs), os.environ.get("PATH", os.defpath)))}
    return place | {"VIRTUAL_ENV": str(programs.parent)}


SHARED = Path("/dev/shm")
_PROBE_DIRECTORY = "inside"


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
        folder = scratch / _PROBE_DIRECTORY
        folder.mkdir(mode=0o700)
    return folder


def _mark(instance: str) -> str:
    return f"looplab-{instance}-"
