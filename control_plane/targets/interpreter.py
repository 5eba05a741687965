"""What an interpreter that is not ours has: its version and the packages that matter here."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from dataclasses import dataclass, field, replace
from pathlib import Path

from control_plane.domain.result import Environment
from control_plane.domain.spec import Target
from control_plane.processes.handle import Handle
from control_plane.targets.application import Application
from control_plane.targets.catalogue import CATALOGUE
from control_plane.targets.chosen import by_command, moved
from control_plane.targets.machine import PACKAGES
from control_plane.targets.variables import INSTANCE

CLIENTS = {"aiohttp", "requests", "urllib3", "httpx"}
"""Packages of the load worker, which runs in our interpreter."""

SERVERS = ("uvicorn", "gunicorn", "hypercorn", "granian")

PATIENCE_S = 10.0
MOST_BYTES = 64_000

_TYING = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    try:
        os.execv(sys.argv[2], sys.argv[2:])
    except OSError as error:
        sys.exit(error.strerror)
"""
"""PR_SET_PDEATHSIG with SIGKILL; it lasts over the exec. sys.exit prints the fault."""

_ASKING = """
import json, platform, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps([platform.python_version(), found]))
"""


@dataclass(frozen=True)
class Interpreter:
    """`packages`: versions by the name of the distribution. `fault`: why it could not tell."""

    version: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    fault: str | None = None


async def asked(python: Path, instance: str) -> Interpreter:
    """Run it once, without any environment of ours but the mark `instance`.

    It dies with the control plane; what it started itself is found by the mark.
    """
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-I", "-S", "-c", _TYING, str(os.getpid())],
        *[str(python), "-I", "-c", _ASKING, *PACKAGES],
        stdout=PIPE,
        stderr=PIPE,
        env={INSTANCE: instance},
    )
    handle = Handle(process.pid)
    try:
        async with asyncio.timeout(PATIENCE_S):
            told, complaint = await asyncio.gather(_kept(process.stdout), _kept(process.stderr))
    except TimeoutError:
        return Interpreter(fault=f"it did not end within {PATIENCE_S:g} s")
    finally:
        handle.send(signal.SIGKILL)
        handle.close()
        await process.wait()
    return _read(told, complaint)


async def _kept(stream: asyncio.StreamReader | None) -> bytes:
    """All of it is read, and the beginning kept."""
    kept = bytearray()
    while stream and (chunk := await stream.read(MOST_BYTES)):
        kept += chunk[: MOST_BYTES - len(kept)]
    return bytes(kept)


def _read(told: bytes, complaint: bytes) -> Interpreter:
    try:
        version, packages = json.loads(told)
        return Interpreter(str(version), {str(name): str(of) for name, of in packages.items()})
    except (ValueError, TypeError, AttributeError):
        lines = complaint.decode(errors="replace").strip().splitlines() or ["it is not Python 3"]
        return Interpreter(fault=lines[-1][:200])


async def told_by(python: Path, instance: str) -> Environment:
    """The facts of an environment that another interpreter has in the place of ours.

    `target_python`, and the versions of what serves; None for what it does not have.
    """
    has = await asked(python, instance)
    serving = [name for name in PACKAGES if name not in CLIENTS]
    versions = {name.replace("-", "_"): has.packages.get(name) for name in serving}
    return {"target_python": has.version or None, **versions}


async def first_target(application: Application, instance: str) -> Target | None:
    """What starts it with nothing chosen; None where its interpreter has no server."""
    if application.command:
        return by_command(application.name)
    return usable(application.name, await asked(application.interpreter, instance))


def usable(application: str, has: Interpreter) -> Target | None:
    """The first configuration whose parts are all there; None when there is no server."""
    targets = [known.target for known in CATALOGUE]
    plain = [replace(target, loop="asyncio") for target in targets if target.server != "gunicorn"]
    for target in targets + plain:
        if all(part in has.packages for part in _parts(target)):
            return moved(target, application)
    return None


def _parts(target: Target) -> list[str]:
    parts = [target.server, target.worker == "uvicorn_worker" and "uvicorn-worker"]
    parts += [part for part in (target.loop, target.http) if part in {"uvloop", "httptools"}]
    return [part for part in parts if part]
