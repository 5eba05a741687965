"""Real targets for tests: small applications under uvicorn, and what they leave behind."""

import asyncio
import contextlib
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import requests

from control_plane.domain.spec import Target
from control_plane.targets.application import Application
from control_plane.targets.launch import LaunchContext, free_ports, start_application
from control_plane.targets.observation import procfs
from control_plane.targets.running_target import StartedTarget
from control_plane.targets.target_files import SHARED_MEMORY

APPLICATIONS = Path(__file__).parent / "applications"
GONE_S = 1.0
"""How long anything of a target may live after the blow."""


def application(name: str, **changes: Any) -> Application:
    return Application(f"{name}:app", APPLICATIONS, **changes)


@dataclass
class Site:
    """The directory and the instance of one test, and the targets started there."""

    state_dir: Path
    instance: str = field(default_factory=lambda: f"test-{secrets.token_hex(6)}")

    def context(
        self,
        cores: tuple[int, ...] | None = None,
        ports: Callable[[str], Iterator[int]] = free_ports,
    ) -> LaunchContext:
        return LaunchContext(self.instance, cores, self.state_dir, ports=ports)

    async def start(self, name: str, target: Target | None = None, **changes: Any) -> StartedTarget:
        """`changes` are those of the application."""
        served = application(name, **changes)
        return await start_application(served, target or Target(), self.context())

    @contextlib.asynccontextmanager
    async def running(
        self, name: str, target: Target | None = None, context: LaunchContext | None = None
    ) -> AsyncIterator[StartedTarget]:
        started = await start_application(
            application(name), target or Target(), context or self.context()
        )
        try:
            yield started
        finally:
            await started.stop()

    def marked(self) -> list[int]:
        """The live processes of this test's targets."""
        mark = f"LOOPLAB_INSTANCE={self.instance}".encode()
        return [pid for pid in procfs.pids() if mark in environment_of(pid)]

    def in_memory(self) -> list[Path]:
        return list(SHARED_MEMORY.glob(f"looplab-{self.instance}-*"))

    def left_behind(self) -> list[str]:
        found = (Path(at, name) for at, *names in os.walk(self.state_dir) for name in chain(*names))
        files = [str(path) for path in found if path.name != "targets"]
        files += [str(path) for path in self.in_memory()]
        return [f"{procfs.command_name(pid)} {pid}" for pid in self.marked()] + files

    def assert_gone(self, within_s: float = GONE_S) -> None:
        until(lambda: not self.left_behind(), lambda: f"left: {self.left_behind()}", within_s)

    async def gone(self) -> None:
        """As `assert_gone`, while the event loop clears up what a killed guard left."""
        await asyncio.to_thread(self.assert_gone)


def kill(pid: int) -> None:
    """Of a process that the death of another may have ended already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def environment_of(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def until(condition: Callable[[], Any], what: Callable[[], str], within_s: float) -> Any:
    """Return the first true result of `condition`, tried every 20 ms; fails after `within_s`."""
    deadline = time.monotonic() + within_s
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what()}"
        time.sleep(0.02)
    return result


def get_json(url: str, path: str) -> Any:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url + path, timeout=5).json()


def listening(target: StartedTarget) -> bool:
    return bool(procfs.inodes_at(target.host, target.port))
