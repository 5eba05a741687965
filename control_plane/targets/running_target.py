"""A target that answers: what the rest of the product may ask of it, and one that was started."""

from dataclasses import dataclass, field
from typing import Protocol

from control_plane.targets import procfs, sockets
from control_plane.targets.delayed_ack import delayed_ack_s
from control_plane.targets.probe_reader import ProbeOutput
from control_plane.targets.supervisor import GRACE_S, Supervisor


class RunningTarget(Protocol):
    """A server under test, started by us or found running.

    `command`, `ready_s`, `delayed_ack_s` and `inside` are None and `pid` 0 for a server that we
    did not start.
    """

    @property
    def url(self) -> str: ...
    @property
    def command(self) -> str | None: ...
    @property
    def pid(self) -> int: ...
    @property
    def ready_s(self) -> float | None: ...
    @property
    def inside(self) -> ProbeOutput | None: ...
    @property
    def delayed_ack_s(self) -> float | None:
        """How much longer later requests on one connection took than the first, once checked."""
        ...

    async def check(self) -> None:
        """Send the few requests of the self-check to a server that we started."""
        ...

    def pids(self) -> list[int]:
        """All processes of the server; none where they cannot be seen."""
        ...

    def restarts(self) -> int | None:
        """Workers that died or were replaced since it was ready; None where unknown."""
        ...

    def failure(self) -> str | None:
        """Why it is gone, such as `target died, signal 9`; None while it runs."""
        ...

    async def ended(self) -> str:
        """Wait until it is gone by itself; the same words as `failure`."""
        ...

    def log(self, lines: int = 20) -> tuple[str, ...]:
        """What it printed last, oldest first."""
        ...

    async def stop(self) -> None:
        """End all of it; once it is gone, nothing happens."""
        ...


@dataclass
class StartedTarget:
    """A server that we started; `port` on `host` is its own.

    `inside` is None where it was started without the probe.
    """

    server: Supervisor
    command: str
    pid: int
    host: str
    port: int
    ready_s: float
    inside: ProbeOutput | None = None
    ready_path: str = "/"
    delayed_ack_s: float | None = None
    _workers: dict[int, int | None] = field(default_factory=dict)
    _seen: frozenset[int] = frozenset()
    _lost: int = 0
    _most: int = 0

    def __post_init__(self) -> None:
        self.pids()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def check(self) -> None:
        self.delayed_ack_s = await delayed_ack_s(self.url, self.ready_path)

    def pids(self) -> list[int]:
        found = self.server.pids()
        self._notice(frozenset(found))
        return found

    def restarts(self) -> int:
        self.pids()
        return self._lost

    def failure(self) -> str | None:
        return _told(self.server.reason) if self.server.reason else None

    async def ended(self) -> str:
        return _told(await self.server.ended())

    def log(self, lines: int = 20) -> tuple[str, ...]:
        return self.server.output.lines()[-lines:]

    async def stop(self, grace_s: float = GRACE_S) -> None:
        await self.server.stop(grace_s)

    def _notice(self, pids: frozenset[int]) -> None:
        """Count workers that are gone; learn the new ones, which accept some time after birth."""
        complete = len(self._workers) >= self._most
        if (pids == self._seen and complete) or self.server.stopping:
            return
        self._seen = pids
        lost = [pid for pid, since in self._workers.items() if procfs.started_at(pid) != since]
        self._lost += len(lost)
        for pid in lost:
            del self._workers[pid]
        for pid in sockets.accepting(sockets.inodes_at(self.host, self.port), pids):
            self._workers.setdefault(pid, procfs.started_at(pid))
        self._most = max(self._most, len(self._workers))


def _told(reason: str) -> str:
    return f"target ended, {reason}" if reason == "exit code 0" else f"target died, {reason}"
