"""What an interpreter that is not ours has: its version and the packages that matter here."""

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

PATIENCE_S = 10.0
MOST_LINES = 200

_ASKING = """
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
    """`packages`: versions by the name of the distribution. `fault`: why it could not tell."""

    version: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    fault: str | None = None


async def inspect_interpreter(python: Path, instance: str) -> Interpreter:
    """Run it once, without any environment of ours but the mark `instance`.

    Under a guard like a server, so that nothing that it starts outlives the question.
    """
    marks = {INSTANCE: instance, LAUNCH: secrets.token_hex(8)}
    command = [str(python), "-I", "-c", _ASKING, *PACKAGES]
    asking = await Supervisor.start(
        LaunchSpec(command, Path("/"), marks, ScratchDirs()), log_lines=MOST_LINES
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            await asking.ended()
    except TimeoutError:
        return Interpreter(fault=f"it did not end within {PATIENCE_S:g} s")
    finally:
        await asking.stop(0)
    return _read(asking.output.lines(), python)


def _read(lines: Sequence[str], python: Path) -> Interpreter:
    told = dict(filter(None, map(_pair, lines)))
    if "" in told:
        return Interpreter(told.pop(""), told)
    last = lines[-1].strip() if lines else ""
    return Interpreter(fault=last.removeprefix(f"{python}: ")[:200] or "it is not Python 3")


def _pair(line: str) -> tuple[str, str] | None:
    """A name and its version; None for a line that says something else."""
    try:
        name, version = json.loads(line)
    except (ValueError, TypeError):
        return None
    return str(name), str(version)


async def interpreter_environment(python: Path, instance: str) -> Environment:
    """The facts of an environment that another interpreter has in the place of ours.

    `target_python`, and the versions of what serves; None for what it does not have.
    """
    has = await inspect_interpreter(python, instance)
    serving = [name for name in PACKAGES if name not in CLIENTS]
    versions = {name.replace("-", "_"): has.packages.get(name) for name in serving}
    return {"target_python": has.version or None, **versions}


async def default_target(application: Application, instance: str) -> Target | None:
    """What starts it with nothing chosen; None where its interpreter has no server."""
    if application.command:
        return command_target(application.name)
    return first_installed(
        application.name, await inspect_interpreter(application.interpreter, instance)
    )


def first_installed(application: str, has: Interpreter) -> Target | None:
    """The first configuration whose parts are all there; None when there is no server."""
    targets = [known.target for known in BUILTIN_CONFIGURATIONS]
    plain = [
        replace(target, loop="asyncio") for target in targets if not SERVERS[target.server].workers
    ]
    for target in targets + plain:
        if all(part in has.packages for part in _parts(target)):
            return for_application(target, application)
    return None


def _parts(target: Target) -> list[str]:
    worker = worker_class(target.server, target.worker)
    parts = [target.server, worker and worker.package]
    parts += [part for part in (target.loop, target.http) if part in {"uvloop", "httptools"}]
    return [part for part in parts if part]
