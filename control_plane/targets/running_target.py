"""A running target: its protocol, and the one that we started."""

from dataclasses import dataclass, field
from typing import Protocol

from control_plane.targets import procfs, sockets
from control_plane.targets.delayed_ack import delayed_ack_s
from control_plane.targets.probe_reader import ProbeOutput
from control_plane.targets.supervisor import GRACE_S, Supervisor


class RunningTarget(Protocol):
    """A server under test, started by us or found running.

    `command`, `ready_s`, `delayed_ack_s` and `probe_output` are None and `pid` is 0 for a server
    that we did not start.
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
    def probe_output(self) -> ProbeOutput | None: ...
    @property
    def delayed_ack_s(self) -> float | None:
        """How much longer later requests on one connection took than the first, once checked."""
        ...

    async def check(self) -> None:
        """Run the self-check for delayed ACKs, with a few requests, on a server that we started."""
        ...

    def pids(self) -> list[int]:
        """Return all processes of the server; none where they cannot be seen."""
        ...

    def restarts(self) -> int | None:
        """Return how many workers died or were replaced since it was ready; None where unknown."""
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

    async def stop(self) -> None:
        """End all its processes; once they are gone, nothing happens."""
        ...


@dataclass
class StartedTarget:
    """A server that we started; `port` on `host` is its own.

    `probe_output` is None where it was started without the probe.
    """

    server: Supervisor
    command: str
    pid: int
    host: str
    port: int
    ready_s: float
    probe_output: ProbeOutput | None = None
    ready_path: str = "/"
    delayed_ack_s: float | None = None
    _workers: dict[int, int | None] = field(default_factory=dict)
    _seen_pids: frozenset[int] = frozenset()
    _lost_workers: int = 0
    _most_workers: int = 0

    def __post_init__(self) -> None:
        self.pids()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def check(self) -> None:
        self.delayed_ack_s = await delayed_ack_s(self.url, self.ready_path)

    def pids(self) -> list[int]:
        pids = self.server.pids()
        self._update_workers(frozenset(pids))
        return pids

    def restarts(self) -> int:
        self.pids()
        return self._lost_workers

    def failure(self) -> str | None:
        return _failure_text(self.server.reason) if self.server.reason else None

    async def ended(self) -> str:
        return _failure_text(await self.server.ended())

    def log(self, lines: int = 20) -> tuple[str, ...]:
        return self.server.output.lines()[-lines:]

    async def stop(self, grace_s: float = GRACE_S) -> None:
        await self.server.stop(grace_s)

    def _update_workers(self, pids: frozenset[int]) -> None:
        """Count workers that are gone; add new ones, which accept some time after their start."""
        complete = len(self._workers) >= self._most_workers
        if (pids == self._seen_pids and complete) or self.server.stopping:
            return
        self._seen_pids = pids
        lost = [pid for pid, since in self._workers.items() if procfs.started_at(pid) != since]
        self._lost_workers += len(lost)
        for pid in lost:
            del self._workers[pid]
        for pid in sockets.accepting(sockets.inodes_at(self.host, self.port), pids):
            self._workers.setdefault(pid, procfs.started_at(pid))
        self._most_workers = max(self._most_workers, len(self._workers))


def _failure_text(reason: str) -> str:
    return f"target ended, {reason}" if reason == "exit code 0" else f"target died, {reason}"
