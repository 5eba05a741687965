"""Another interpreter: its version, its packages, and the first target that it can run."""

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from control_plane.domain.result import Environment
from control_plane.domain.servers import SERVERS, worker_class
from control_plane.domain.spec import Target
from control_plane.targets.application import Application, command_target, for_application
from control_plane.targets.builtin_configurations import BUILTIN_CONFIGURATIONS
from control_plane.targets.environment import INSTANCE, LAUNCH, ScratchDirs
from control_plane.targets.machine import PACKAGES
from control_plane.targets.supervisor import LaunchSpec, Supervisor

CLIENTS = {"aiohttp", "requests", "urllib3", "httpx"}
"""Packages of the load worker, which runs in our interpreter."""

TIMEOUT_S = 10.0
MAX_LINES = 200

_SCRIPT = """
import json, platform, sys
from importlib.metadata import PackageNotFoundError, version
for name in sys.argv[1:]:
    try:
        print(json.dumps([name, version(name)]))
    except PackageNotFoundError:
        pass
print(json.dumps(["", platform.python_version()]))
"""


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
    command = [str(python), "-I", "-c", _SCRIPT, *PACKAGES]
    process = await Supervisor.start(
        LaunchSpec(command, Path("/"), marks, ScratchDirs()), log_lines=MAX_LINES
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await process.ended()
    except TimeoutError:
        return Interpreter(fault=f"it did not end within {TIMEOUT_S:g} s")
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
    return str(name), str(version)


async def interpreter_environment(python: Path, instance: str) -> Environment:
    """Return the facts of an environment that another interpreter has in the place of ours.

    `target_python`, and the versions of what serves; None for what it does not have.
    """
    interpreter = await inspect_interpreter(python, instance)
    serving = [name for name in PACKAGES if name not in CLIENTS]
    versions = {name.replace("-", "_"): interpreter.packages.get(name) for name in serving}
    return {"target_python": interpreter.version or None, **versions}


async def default_target(application: Application, instance: str) -> Target | None:
    """Return the target that starts it with nothing chosen; None where no server is installed."""
    if application.command:
        return command_target(application.name)
    return first_installed(
        application.name, await inspect_interpreter(application.interpreter, instance)
    )


def first_installed(application: str, interpreter: Interpreter) -> Target | None:
    """Return the first configuration whose packages are all installed; None when there is none."""
    targets = [known.target for known in BUILTIN_CONFIGURATIONS]
    plain = [
        replace(target, loop="asyncio") for target in targets if not SERVERS[target.server].workers
    ]
    for target in targets + plain:
        if all(part in interpreter.packages for part in _packages_needed(target)):
            return for_application(target, application)
    return None


def _packages_needed(target: Target) -> list[str]:
    worker = worker_class(target.server, target.worker)
    parts = [target.server, worker and worker.package]
    parts += [part for part in (target.loop, target.http) if part in {"uvloop", "httptools"}]
    return [part for part in parts if part]
