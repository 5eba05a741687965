"""A running target: its protocol, and the one that we started."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from control_plane.targets.observation import procfs
from control_plane.targets.observation.delayed_ack import delayed_ack_s
from control_plane.targets.observation.machine_watch import pids_of, program_name
from control_plane.targets.observation.probe_reader import ProbeOutput
from control_plane.targets.observation.worker_watch import EndedWorkers, WorkerWatch
from control_plane.targets.supervisor import GRACE_S, Supervisor


class RunningTarget(Protocol):
    """A server under test, started by us or found running.

    `command`, `ready_s` and `probe_output` are None and `pid` is 0 for a server
    that we did not start.
    """

    @property
    def url(self) -> str: ...
    @property
    def host_header(self) -> str:
        """The Host that requests to it carry, which need not be that of `url`."""
        ...

    @property
    def command(self) -> str | None: ...
    @property
    def pid(self) -> int: ...
    @property
    def ready_s(self) -> float | None: ...
    @property
    def probe_output(self) -> ProbeOutput | None: ...
    @property
    def delayed_ack_s(self) -> float | None:
        """How much longer responses took whose head was acknowledged late, once checked."""
        ...

    async def check(self, path: str) -> None:
        """Run the self-check for delayed ACKs with a few GET requests.

        `path` is asked for where the target itself names none.
        """
        ...

    def pids(self) -> list[int]:
        """Return all processes of the server; none where they cannot be seen."""
        ...

    def companions(self) -> dict[int, str]:
        """Return the other programs that count to it, by pid."""
        ...

    def ended_workers(self) -> EndedWorkers | None:
        """Return how many workers ended since it was ready; None where nobody watches them."""
        ...

    def failure(self) -> str | None:
        """Return why it is gone, such as `target died, signal 9`; None while it runs."""
        ...

    async def ended(self) -> str:
        """Wait until it is gone by itself; return what `failure` does then."""
        ...

    def log(self, lines: int = 20) -> tuple[str, ...]:
        """Return the last lines that it printed, oldest first."""
        ...

    def hide(self, secrets: Mapping[str, str]) -> None:
        """Let these texts, each by what it is called, stand in no line of its log."""
        ...

    @property
    def killed_after_s(self) -> float | None:
        """How long it had to end before it was killed; None unless it was."""
        ...

    async def stop(self, grace_s: float | None = None) -> None:
        """End all its processes; once they are gone, nothing happens.

        `grace_s`: how long they have to end in order, by default what their application says. A
        second call can shorten it.
        """
        ...


HURRIED_GRACE_S = 1.5
"""The most that a target has to end where somebody waits: a cancellation is over within 2 s."""

SETTLE_S = 0.03
"""After so long without a request a process that served a single connection is gone."""


@dataclass
class StartedTarget:
    """A server that we started; `port` on `host` is its own.

    `probe_output` is None where it was started without the probe. `own_command`: it is no server
    that we know. `belongs`: names of programs elsewhere that work for it.
    """

    server: Supervisor
    command: str
    pid: int
    host: str
    port: int
    host_header: str
    ready_s: float
    probe_output: ProbeOutput | None = None
    ready_path: str = "/"
    own_command: bool = False
    belongs: tuple[str, ...] = ()
    scheme: str = "http"
    stop_timeout_s: float = GRACE_S
    delayed_ack_s: float | None = None

    def __post_init__(self) -> None:
        inodes = procfs.inodes_at(self.host, self.port)
        holders = procfs.holders(inodes, self.server.pids())
        folder = self.probe_output.folder if self.probe_output else None
        self._watch = WorkerWatch(self.pid, holders, single=not self.own_command, folder=folder)
        own = {os.getpid(), procfs.parent(self.pid), *self.server.pids()}
        self._companions = {
            pid: (procfs.started_at(pid), program_name(pid))
            for pid in pids_of(self.belongs)
            if pid not in own
        }
        self.pids()

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    async def check(self, path: str = "/") -> None:  # noqa: ARG002 - it has a path of its own
        if self.own_command:
            await asyncio.sleep(SETTLE_S)
        self.pids()
        self.delayed_ack_s = await delayed_ack_s(self.url, self.ready_path, self.host_header)

    def pids(self) -> list[int]:
        pids = self.server.pids()
        if not self.server.stopping:
            self._watch.look(pids)
        return pids

    def companions(self) -> dict[int, str]:
        alive = {
            pid: name
            for pid, (start, name) in self._companions.items()
            if procfs.started_at(pid) == start
        }
        below = {child: name for pid, name in alive.items() for child in procfs.descendants(pid)}
        return below | alive

    def ended_workers(self) -> EndedWorkers:
        self.pids()
        return self._watch.ended

    def failure(self) -> str | None:
        return _failure_text(self.server.reason) if self.server.reason else None

    async def ended(self) -> str:
        return _failure_text(await self.server.ended())

    def log(self, lines: int = 20) -> tuple[str, ...]:
        return self.server.output.lines()[-lines:]

    def hide(self, secrets: Mapping[str, str]) -> None:
        self.server.output.hide(secrets)

    @property
    def killed_after_s(self) -> float | None:
        return self.stop_timeout_s if self.server.killed else None

    async def stop(self, grace_s: float | None = None) -> None:
        await self.server.stop(self.stop_timeout_s if grace_s is None else grace_s)


def _failure_text(reason: str) -> str:
    return f"target ended, {reason}" if reason == "exit code 0" else f"target died, {reason}"
