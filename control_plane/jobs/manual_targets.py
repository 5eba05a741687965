"""Targets that somebody started by hand. They make way for every measurement."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from control_plane.domain.errors import Conflict, NotFound, TargetFailed
from control_plane.domain.spec import BUNDLED, Target
from control_plane.jobs import Runtime
from control_plane.targets.application import resolve_application
from control_plane.targets.launch import start_application
from control_plane.targets.readiness import LOG_LINES
from control_plane.targets.running_target import StartedTarget

log = logging.getLogger("looplab.jobs")

MOST_TARGETS = 3
"""How many may run at once."""
MOST_ENDED = 3
"""How many that ended are still shown."""
STOP_GRACE_S = 3.0
"""How long a target may take to end by itself."""
SHUTDOWN_GRACE_S = 0.5
LOOK_S = 5.0
"""How long whoever starts a target waits for it; it goes on starting after."""


@dataclass(frozen=True)
class ManualTarget:
    """What pages show of a target. `url` and `command` are empty and `pid` 0 before it is ready.

    `reason` tells why it ended. `documented`: it has /docs.
    """

    name: str
    state: Literal["starting", "running", "ended"]
    began_at: datetime
    url: str
    pid: int
    command: str
    reason: str
    log: tuple[str, ...]
    documented: bool = False


@dataclass
class _Launch:
    """A target with the task that starts it. `settled`: no process of it is left."""

    name: str
    task: asyncio.Task[None]
    documented: bool
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    running: StartedTarget | None = None
    reason: str = ""
    log: tuple[str, ...] = ()
    settled: bool = False

    @property
    def alive(self) -> bool:
        """Whether it starts or runs."""
        return not self.ended

    @property
    def ended(self) -> str:
        """Why it ended; empty while it starts or runs."""
        return self.reason or ((self.running.failure() or "") if self.running else "")

    def view(self) -> ManualTarget:
        """Return it as pages show it."""
        running, ended = self.running, self.ended
        return ManualTarget(
            name=self.name,
            state="ended" if ended else "running" if running else "starting",
            began_at=self.began_at,
            url=running.url if running and not ended else "",
            pid=running.pid if running and not ended else 0,
            command=running.command if running else "",
            reason=ended,
            log=running.log(LOG_LINES) if running else self.log,
            documented=self.documented,
        )


class ManualTargets:
    """Starts, shows and ends them.

    Lives in the event loop of the queue; `all` may be used from any thread.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._launches: Mapping[str, _Launch] = {}
        self._measuring = ""

    def all(self) -> tuple[ManualTarget, ...]:
        """Return all that are shown, in the order in which they were started."""
        return tuple(launch.view() for launch in self._launches.values())

    def check(self, name: str) -> None:
        """Raise Conflict when it runs already, when too many do, or while a run measures."""
        alive = [launch.name for launch in self._launches.values() if launch.alive]
        if self._measuring:
            raise Conflict(f"Run {self._measuring} measures now: start the target after it.")
        if name in alive:
            raise Conflict(f"{name} runs already: stop it first.")
        if len(alive) >= MOST_TARGETS:
            raise Conflict(f"{MOST_TARGETS} targets run already: stop one first.")

    async def start(self, name: str, target: Target) -> None:
        """Start it; returns once it is ready or has failed, or after 5 s. Raises as `check`."""
        self.check(name)
        task = asyncio.create_task(self._begin(name, target), name=f"by hand {name}")
        before, launch = self._launches, _Launch(name, task, target.application == BUNDLED)
        self._launches = {**_still_shown(before, name), name: launch}
        task.add_done_callback(lambda task: _settle(task, launch))
        await asyncio.wait([task], timeout=LOOK_S)
        for key, old in before.items():
            if self._launches.get(key) is not old:
                await self._end(old, old.ended, STOP_GRACE_S)

    async def stop(self, name: str) -> None:
        """End a target; returns when it is gone.

        Raises NotFound, or Conflict when it has ended before.
        """
        launch = self._launches.get(name)
        if launch is None:
            raise NotFound(f"No target {name[:60]!r} was started by hand.")
        if launch.ended:
            raise Conflict(f"{name} is not running any more.")
        await self._end(launch, "stopped by hand", STOP_GRACE_S)

    @asynccontextmanager
    async def stopped_during(self, run_id: str) -> AsyncIterator[tuple[str, ...]]:
        """Stop all, and start none as long as this lasts. Gives the names of those that ran."""
        self._measuring = run_id
        try:
            yield await self._end_all(f"stopped because run {run_id} began", STOP_GRACE_S)
        finally:
            self._measuring = ""

    async def close(self) -> None:
        """End all, because Looplab stops."""
        await self._end_all("Looplab was stopped", SHUTDOWN_GRACE_S)

    async def _begin(self, name: str, target: Target) -> None:
        try:
            application = resolve_application(target, self._runtime.applications)
            self._launches[name].running = await start_application(
                application, target, self._runtime.launch_context()
            )
        except TargetFailed as fault:
            self._launches[name].reason, self._launches[name].log = str(fault), fault.log

    async def _end_all(self, reason: str, grace_s: float) -> tuple[str, ...]:
        """End also what is left of those that ended by themselves. Returns the names that ran."""
        alive = tuple(launch.name for launch in self._launches.values() if launch.alive)
        left = [launch for launch in self._launches.values() if not launch.settled]
        await asyncio.gather(*(self._end(launch, reason, grace_s) for launch in left))
        return alive

    async def _end(self, launch: _Launch, reason: str, grace_s: float) -> None:
        launch.reason = launch.ended or reason
        if not launch.task.done():
            launch.task.cancel()
            await asyncio.wait([launch.task])
        if launch.running is not None:
            await launch.running.stop(grace_s)
        launch.settled = True


def _settle(task: asyncio.Task[None], launch: _Launch) -> None:
    """Say so where a mistake of ours kept the target from starting."""
    fault = None if task.cancelled() else task.exception()
    if fault is not None:
        log.error("start of %s", launch.name, exc_info=fault)
        launch.reason = launch.reason or "Something went wrong in Looplab."


def _still_shown(launches: Mapping[str, _Launch], name: str) -> dict[str, _Launch]:
    """Return all without `name` and the oldest that ended."""
    ended = [key for key, launch in launches.items() if launch.ended and key != name]
    gone = {name, *ended[:-MOST_ENDED]}
    return {key: launch for key, launch in launches.items() if key not in gone}
