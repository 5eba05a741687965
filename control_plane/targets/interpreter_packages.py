"""Another interpreter: its version, its packages, and the first target that it can run."""

import asyncio
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from control_plane.domain.result import Environment
from control_plane.domain.servers import SERVERS, server_packages, worker_class
from control_plane.domain.spec import Target
from control_plane.targets.application import Application, command_target, for_application
from control_plane.targets.builtin_configurations import BUILTIN_CONFIGURATIONS, WSGI_CONFIGURATIONS
from control_plane.targets.environment_variables import INSTANCE, LAUNCH
from control_plane.targets.observation import procfs
from control_plane.targets.observation.machine_watch import program_name
from control_plane.targets.scratch_dirs import ScratchDirs
from control_plane.targets.supervisor import LaunchSpec, Supervisor

INTERPRETER_TIMEOUT_S = 10.0
MAX_LINES = 2_000

_SCRIPT = """
import json, platform
from importlib.metadata import distributions
for package in distributions():
    print(json.dumps([package.metadata["Name"], package.version]))
print(json.dumps(["", platform.python_version()]))
"""

LISTED_FIRST = (
    *server_packages(), "uwsgi", "waitress", "cheroot", "daphne", "werkzeug", "django",
    "djangorestframework", "flask", "fastapi", "starlette", "litestar", "quart", "sanic", "tornado",
    "falcon", "bottle", "pyramid", "aiohttp", "datasette",
)  # fmt: skip
"""Packages that serve, and frameworks: they stand before all others."""

_DIGITS = 12


@dataclass(frozen=True)
class Interpreter:
    """`packages`: versions by the name of the distribution. `fault`: why it could not be run."""

    version: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    fault: str | None = None


async def inspect_interpreter(python: Path, instance: str) -> Interpreter:
    """Run it once to list its packages, without any variable of ours but the mark `instance`.

    Under a guard like a server, so that nothing that it starts outlives the call.
    """
    marks = {INSTANCE: instance, LAUNCH: secrets.token_hex(8)}
    command = [str(python), "-I", "-c", _SCRIPT]
    process = await Supervisor.start(
        LaunchSpec(command, Path("/"), marks, ScratchDirs()), log_lines=MAX_LINES
    )
    try:
        async with asyncio.timeout(INTERPRETER_TIMEOUT_S):
            await process.ended()
    except TimeoutError:
        return Interpreter(fault=f"it did not end within {INTERPRETER_TIMEOUT_S:g} s")
    finally:
        await process.stop(0)
    return _parse(process.output.lines(), python)


def _parse(lines: Sequence[str], python: Path) -> Interpreter:
    versions = dict(filter(None, map(_parse_line, lines)))
    if "" in versions:
        return Interpreter(versions.pop(""), versions)
    last = lines[-1].strip() if lines else ""
    return Interpreter(fault=last.removeprefix(f"{python}: ")[:200] or "it is not Python 3")


def _parse_line(line: str) -> tuple[str, str] | None:
    """Return a name and its version; None for a line that is something else."""
    try:
        name, version = json.loads(line)
    except (ValueError, TypeError):
        return None
    return re.sub(r"[-_.]+", "-", str(name)).lower(), str(version)


async def target_environment(
    python: Path | None, pids: Sequence[int], instance: str
) -> Environment:
    """Return version and packages of the interpreter that serves, which may be found by its `pids`.

    None where it is no Python, or its processes cannot be seen; then `target_program` names it.
    """
    python = python or interpreter_of(pids)
    found = await inspect_interpreter(python, instance) if python else Interpreter()
    rank = {name: place for place, name in enumerate(LISTED_FIRST)}
    names = sorted(found.packages, key=lambda name: (rank.get(name, len(rank)), name))
    packages = {name: found.packages[name] for name in names}
    listed = "\n".join(f"{name} {packages[name]}" for name in sorted(packages))
    digest = hashlib.sha256(listed.encode()).hexdigest()[:_DIGITS]
    return {
        "target_program": program_name(pids[-1]) if pids and not python else None,
        "target_python": found.version or None,
        "target_packages": packages or None,
        "target_packages_digest": digest if packages else None,
    }


def interpreter_of(pids: Sequence[int]) -> Path | None:
    """Return the Python that the newest of the processes runs in; None where none of them does.

    A virtual environment is known by the link that was called, not by the file behind it.
    """
    for pid in reversed(pids):
        running = procfs.PROC / str(pid)
        try:
            program, owner = (running / "exe").readlink(), running.stat().st_uid
        except OSError:
            continue
        # A program of another user is not run, nor one that only a container has.
        ours = owner == os.geteuid() and _same(program, running / "exe")
        if ours and program.name.startswith(("python", "pypy")):
            return next((path for path in _called(pid) if _same(path, program)), program)
    return None


def _called(pid: int) -> Iterator[Path]:
    """Yield under which names a process may have been started."""
    variables = procfs.variables(pid)
    word = procfs.command_line(pid).split(b"\0")[0].decode(errors="replace")
    if "/" in word:
        yield Path(os.path.realpath(procfs.PROC / str(pid) / "cwd")) / word
    elif found := shutil.which(word, path=variables.get("PATH", os.defpath)):
        yield Path(found)
    if "VIRTUAL_ENV" in variables:
        yield Path(variables["VIRTUAL_ENV"]) / "bin" / "python"


def _same(path: Path, program: Path) -> bool:
    try:
        return path.samefile(program)
    except OSError:
        return False


async def default_target(application: Application, instance: str) -> Target | None:
    """Return the target that starts it with nothing chosen; None where no server is installed."""
    if application.command:
        return command_target(application.name)
    return first_installed(
        application, await inspect_interpreter(application.interpreter, instance)
    )


def first_installed(application: Application, interpreter: Interpreter) -> Target | None:
    """Return the first configuration whose packages are all installed; None when there is none.

    What the application seems to be comes first: WSGI or ASGI.
    """
    targets = [known.target for known in BUILTIN_CONFIGURATIONS]
    plain = [
        replace(target, loop="asyncio") for target in targets if not SERVERS[target.server].workers
    ]
    asgi, wsgi = targets + plain, [known.target for known in WSGI_CONFIGURATIONS]
    seems_wsgi = _seems_wsgi(application.app, interpreter.packages)
    for target in wsgi + asgi if seems_wsgi else asgi + wsgi:
        if all(part in interpreter.packages for part in _packages_needed(target)):
            return for_application(target, application.name)
    return None


_ASGI_FRAMEWORKS = {"starlette", "fastapi", "litestar", "quart", "sanic", "blacksheep"}
_WSGI_FRAMEWORKS = {"flask", "django", "bottle", "pyramid", "falcon"}


def _seems_wsgi(app: str, packages: Collection[str]) -> bool:
    """Guess by the name of its module, as `shop.wsgi:application`, else by its frameworks."""
    if "asgi" in app or "wsgi" in app:
        return "wsgi" in app
    return not _ASGI_FRAMEWORKS & {*packages} and bool(_WSGI_FRAMEWORKS & {*packages})


def _packages_needed(target: Target) -> list[str]:
    worker = worker_class(target.server, target.worker)
    parts = [target.server, worker and worker.package]
    parts += [part for part in (target.loop, target.http) if part in {"uvloop", "httptools"}]
    return [part for part in parts if part]
