"""Other interpreters: their versions, their packages, and the first target that each can run."""

import asyncio
import hashlib
import json
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from control_plane.domain.errors import Conflict
from control_plane.domain.result import Environment
from control_plane.domain.server_command_lines import (
    APPLICATION_SERVERS,
    is_wsgi,
    lacking,
    server_defaults,
    server_packages,
    worker_class,
)
from control_plane.domain.spec import Target
from control_plane.targets.application import (
    FRAMEWORKS,
    Application,
    command_target,
    interface_in_source,
)
from control_plane.targets.environment_variables import INSTANCE, LAUNCH
from control_plane.targets.guarded_server import GuardedServer, LaunchSpec
from control_plane.targets.observation import procfs
from control_plane.targets.observation.machine import program_name
from control_plane.targets.target_files import ScratchDirs

INTERPRETER_TIMEOUT_S = 10.0
WAIT_S, WAIT_STEP_S = 15.0, 0.05
MAX_LINES = 2_000

_SCRIPT = """
import json, os, sys
from itertools import takewhile
def tell(path):
    with open(path, encoding="utf-8", errors="replace") as lines:
        head = dict(line.split(": ", 1) for line in takewhile(str.strip, lines) if ": " in line)
    print(json.dumps([head["Name"].strip(), head["Version"].strip()]))
for folder in reversed(sys.path):
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        inside = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}.get(name[name.rfind("."):])
        if inside:
            path = os.path.join(folder, name)
            try:
                tell(os.path.join(path, inside) if os.path.isdir(path) else path)
            except (OSError, KeyError):
                pass
print(json.dumps(["/", os.pathsep.join(sys.path)]))
print(json.dumps(["", sys.version.split()[0]]))
"""
"""Reads what `importlib.metadata` would, in a fifth of the time: every run waits for it.

Of a package that lies in two folders the first on the path counts, told last."""

LISTED_FIRST = (
    *server_packages(), "uwsgi", "waitress", "cheroot", "daphne", "werkzeug", "django",
    "djangorestframework", "flask", "fastapi", "starlette", "litestar", "quart", "sanic", "tornado",
    "falcon", "bottle", "pyramid", "aiohttp", "datasette",
)  # fmt: skip
"""Packages that serve, and frameworks: they stand before all others."""

_DIGITS = 12


@dataclass(frozen=True)
class Interpreter:
    """`packages`: versions by the name of the distribution. `fault`: why it could not be run.

    `folders`: where it imports from.
    """

    version: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    fault: str | None = None
    folders: tuple[Path, ...] = ()


async def inspect_interpreter(python: Path, instance: str) -> Interpreter:
    """Run it once to list its packages, without any variable of ours but the mark `instance`.

    Under a guard like a server, so that nothing that it starts outlives the call.
    """
    marks = {INSTANCE: instance, LAUNCH: secrets.token_hex(8)}
    command = [str(python), "-I", "-c", _SCRIPT]
    process = await GuardedServer.start(
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
        folders = tuple(map(Path, versions.pop("/", "").split(os.pathsep)))
        return Interpreter(versions.pop(""), versions, folders=folders)
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
    python: Path | None, pids: Sequence[int], interpreters: "Interpreters"
) -> Environment:
    """Return version and packages of the interpreter that serves, which may be found by its `pids`.

    None where it is no Python, or its processes cannot be seen; then `target_program` names it.
    """
    python = python or interpreter_of(pids)
    found = await interpreters.current(python) if python else Interpreter()
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


CHOICE = ("server", "worker", "loop", "http")
"""The fields of a target that follow what the interpreter of an application has installed."""

Choice = dict[str, Any]
_STANDARD = {"uvloop": "asyncio", "httptools": "h11"}
"""What serves in the place of a package that a server can do without."""


class Interpreters:
    """What the interpreters of applications have installed.

    One is asked again when its folders have changed, but not while a run works: that would take
    processor time from it. One that was never asked waits until no load runs. May be used from any
    thread.
    """

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._known: dict[Path, tuple[Interpreter, tuple[int, ...]]] = {}
        self._lock = threading.Lock()
        self._busy: Callable[[], bool] = bool
        self._loaded: Callable[[], bool] = bool

    def give_way_while(self, busy: Callable[[], bool], loaded: Callable[[], bool]) -> None:
        """Ask none again as long as `busy` says True: what is known counts then. Ask none at all
        as long as `loaded` does.
        """
        self._busy, self._loaded = busy, loaded

    def tells(self, python: Path) -> bool:
        """Whether `inspect` tells at once: it is known, or no load runs."""
        return python in self._known or not self._loaded()

    def inspect(self, python: Path) -> Interpreter:
        """Return what it has now, or had when the run began that works.

        Raises Conflict where it is not known and load has run for all the time that was waited.
        """
        gives_up_s = time.monotonic() + WAIT_S
        while not self.tells(python):
            if time.monotonic() > gives_up_s:
                raise Conflict(
                    f"{python} was not asked yet, which would disturb the run: try again after it."
                )
            time.sleep(WAIT_STEP_S)
        with self._lock:
            known = self._known.get(python)
            if known is None or (not self._busy() and known[1] != _stamp(python, known[0])):
                # The caller's event loop may be running: this takes one of its own.
                with ThreadPoolExecutor(1) as thread:
                    asking = inspect_interpreter(python, self._instance)
                    found = thread.submit(asyncio.run, asking).result()
                known = self._known[python] = (found, _stamp(python, found))
            return known[0]

    async def current(self, python: Path) -> Interpreter:
        """Return what it has now, for a run that waits for that: asked again where it changed."""
        known = self._known.get(python)
        if known is None or known[0].fault or known[1] != _stamp(python, known[0]):
            found = await inspect_interpreter(python, self._instance)
            known = self._known[python] = (found, _stamp(python, found))
        return known[0]


def _stamp(python: Path, interpreter: Interpreter) -> tuple[int, ...]:
    """Return when it and the folders of its packages were changed; 0 for what is not there."""
    return tuple(map(_changed_ns, (python, *interpreter.folders)))


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def default_target(application: Application, interpreters: Interpreters) -> Target | None:
    """Return the target that starts it with nothing chosen; None where no server is installed."""
    if application.command:
        return command_target(application.name)
    choice = installed_choice(application, interpreters.inspect(application.interpreter))
    return target_of_choice(application.name, choice) if choice else None


def target_of_choice(application: str, choice: Choice) -> Target:
    """Return the usual target with this server, worker, loop and parser."""
    return Target(application, **server_defaults(str(choice["server"]), choice["worker"]) | choice)


def installed_choice(
    application: Application, interpreter: Interpreter, given: Mapping[str, object] | None = None
) -> Choice | None:
    """Return server, worker, loop and parser: those `given`, and for the rest what is installed.

    What the application seems to be comes first: WSGI or ASGI. None where nothing fits.
    """
    known = [*interpreter.packages, *(given or {}).values()]
    for choice in _fitting_choices(application, interpreter, given):
        if all(part in known for part in _packages_needed(choice)):
            return choice
    return None


def choice_to_install(
    application: Application, interpreter: Interpreter, given: Mapping[str, object] | None = None
) -> Choice:
    """Return what would serve it first if everything were installed; {} where nothing fits."""
    return next(_fitting_choices(application, interpreter, given), {})


def _fitting_choices(
    application: Application, interpreter: Interpreter, given: Mapping[str, object] | None
) -> Iterator[Choice]:
    """Yield what agrees with what is given, first that which serves its interface."""
    wsgi = interface_of(application, interpreter) == "wsgi"
    for choice in sorted(_choices(), key=lambda choice: _serves_wsgi(choice) != wsgi):
        if (given or {}).items() <= choice.items():
            yield choice


def standing_in(target: Target, interpreter: Interpreter) -> tuple[tuple[str, str], ...]:
    """Return the packages that are not installed, each with what the target uses instead."""
    used = (target.loop, target.http)
    return tuple(
        (package, instead)
        for package, instead in _STANDARD.items()
        if instead in used and package not in interpreter.packages
    )


def absent(target: Target, interpreter: Interpreter) -> Iterator[tuple[str, str, str]]:
    """Yield field, package and what could stand in for each package that it names and lacks.

    Nothing where the interpreter could not be asked, or has not even the server.
    """
    if target.server not in interpreter.packages:
        return
    for field_name, package in (("loop", target.loop), ("http", target.http)):
        lacks = package in _STANDARD and package not in interpreter.packages
        if lacks:
            yield field_name, str(package), _STANDARD[str(package)]


def interface_of(application: Application, interpreter: Interpreter) -> str:
    """Return `wsgi` or `asgi`; empty where neither its source nor what is installed tells which."""
    kinds = {FRAMEWORKS[name] for name in interpreter.packages.keys() & FRAMEWORKS.keys()}
    installed = kinds.pop() if len(kinds) == 1 else ""
    return interface_in_source(application) or installed


def serves(target: Target, interface: str) -> bool:
    """Return whether its server serves `wsgi` or `asgi`; hypercorn serves both."""
    by_wsgi = is_wsgi(target.server, target.worker)
    return target.server == "hypercorn" or by_wsgi == (interface == "wsgi")


def _serves_wsgi(choice: Choice) -> bool:
    return is_wsgi(str(choice["server"]), choice["worker"])


def _choices() -> Iterator[Choice]:
    """Yield what can serve, the first choice first."""
    for name, server in APPLICATION_SERVERS.items():
        for worker in server.workers or (None,):
            yield from (
                {"server": name, "worker": worker, "loop": loop, "http": http}
                for loop, http in _pairs(name, worker)
            )


def _pairs(server: str, worker: str | None) -> Iterator[tuple[str | None, str | None]]:
    """Yield the loops and parsers that a server can run together."""
    kind = worker_class(server, worker)
    lacks = lacking(server, worker)
    loops = (None,) if "loop" in lacks else ("uvloop", "asyncio")
    parsers = (None,) if "http" in lacks else ("httptools", "h11")
    for pair in product(loops, parsers):
        if not (kind and kind.pairs) or pair in kind.pairs:
            yield pair


def _packages_needed(choice: Choice) -> list[str]:
    worker = worker_class(str(choice["server"]), choice["worker"])
    parts = [choice["server"], worker and worker.package]
    parts += [part for part in (choice["loop"], choice["http"]) if part in _STANDARD]
    return [part for part in parts if part]
