"""The environment variables of a target: a list of what may pass, and what its settings name."""

import os
from collections.abc import Iterator
from pathlib import Path

from dotenv import dotenv_values

from control_plane.domain.errors import TargetFailed
from control_plane.domain.secrets import SHORTEST_SECRET
from control_plane.domain.spec import BUNDLED, DEFAULT_THREADS, Target
from control_plane.targets.application import Application, settings_variables
from control_plane.targets.inside.looplab_probe.ring import THREADS_VARIABLE

PROBE_SOURCE = Path(__file__).parent / "inside"
PASSED_ON = {
    "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER",
    "VIRTUAL_ENV",
}  # fmt: skip
INSTANCE = "LOOPLAB_INSTANCE"
LAUNCH = "LOOPLAB_LAUNCH"


def target_environment(
    application: Application, target: Target, instance: str, launch: str
) -> dict[str, str]:
    """Return the variables of a target: a list of what may pass, so that no secret of ours does.

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
    """Return the size of the thread pool for the probe; the bundled application sets its own."""
    if target.application == BUNDLED or target.threads in {None, DEFAULT_THREADS}:
        return {}
    return {THREADS_VARIABLE: str(target.threads)}


def configured_variables(application: Application) -> dict[str, str]:
    """Return what the settings name. A fixed value wins over our environment, ours over a file."""
    named = {name: os.environ[name] for name in application.passed_on if name in os.environ}
    return _file_of(application) | named | dict(application.environment)


def secret_variables(application: Application) -> dict[str, str]:
    """Return the values that no log line may show, by name; the longest first."""
    values = configured_variables(application) if application.own else {}
    long = {name: value for name, value in values.items() if len(value) >= SHORTEST_SECRET}
    return dict(sorted(long.items(), key=lambda item: -len(item[1])))


def missing_variables(application: Application) -> Iterator[str]:
    """Yield the names to be passed on that neither our environment nor the file has."""
    known = {*os.environ, *_file_of(application), *application.environment}
    yield from (name for name in application.passed_on if name not in known)


def _file_of(application: Application) -> dict[str, str]:
    """Return the variables of the application's env_file. Raises TargetFailed if unreadable."""
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
    """Return PATH and VIRTUAL_ENV of the application's own virtual environment, if it has one."""
    if application.python is None:
        return {}
    programs = application.python.parent
    path = os.pathsep.join((str(programs), os.environ.get("PATH", os.defpath)))
    return {"PATH": path, "VIRTUAL_ENV": str(programs.parent)}
