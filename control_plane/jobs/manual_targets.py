"""Targets that somebody started to look at them. They make way for every measurement."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from control_plane.domain.errors import Conflict, NotFound, TargetFailed
from control_plane.domain.spec import BUNDLED, Target
from control_plane.jobs.runtime import Runtime
from control_plane.targets.application import resolve_application
from control_plane.targets.launch import start_application
from control_plane.targets.running_target import StartedTarget

log = logging.getLogger("looplab.jobs")

MOST = 3
"""How many may run at once."""
MOST_ENDED = 3
"""How many that ended are still shown."""
GRACE_S = 3.0
"""How long one may take to end by itself."""
SHUTDOWN_GRACE_S = 0.5
LOOK_S = 5.0
"""How long whoever starts one waits for it; it goes on starting after."""
LOG_LINES = 20


@dataclass(frozen=True)
class ManualTarget:
    """What is known of one. `url` and `command` are empty and `pid` 0 before it is ready.

    `reason` tells why it ended. `documented`: it answers /docs.
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
class _Kept:
    """One that was started, with the task that starts it. `settled`: nothing of it is left."""

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
        return not self.ended

    @property
    def ended(self) -> str:
        """Why; empty while it starts or runs."""
        return self.reason or ((self.running.failure() or "") if self.running else "")

    def view(self) -> ManualTarget:
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
    """Lives in the event loop of the queue; `all` may be used from any thread."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._kept: Mapping[str, _Kept] = {}
        self._measuring = ""

    def all(self) -> tuple[ManualTarget, ...]:
        """In the order in which they were started."""
        return tuple(one.view() for one in self._kept.values())

    def check(self, name: str) -> None:
        """Raises Conflict when it runs already, when too many do, or while a run measures."""
        alive = [one.name for one in self._kept.values() if one.alive]
        if self._measuring:
            raise Conflict(f"Run {self._measuring} measures now: start the target after it.")
        if name in alive:
            raise Conflict(f"{name} runs already: stop it first.")
        if len(alive) >= MOST:
            raise Conflict(f"{MOST} targets run already: stop one first.")

    async def start(self, name: str, target: Target) -> None:
        """Returns once it is ready or has failed, or after 5 s. Raises as `check`."""
        self.check(name)
        task = asyncio.create_task(self._begin(name, target), name=f"by hand {name}")
        old, kept = self._kept, _Kept(name, task, target.application == BUNDLED)
        self._kept = {**_still_shown(old, name), name: kept}
        task.add_done_callback(lambda task: _settle(task, kept))
        await asyncio.wait([task], timeout=LOOK_S)
        await self._clear(one for key, one in old.items() if self._kept.get(key) is not one)

    async def stop(self, name: str) -> None:
        """Returns when it is gone. Raises NotFound, or Conflict when it has ended before."""
        kept = self._kept.get(name)
        if kept is None:
            raise NotFound(f"No target {name[:60]!r} was started by hand.")
        if kept.ended:
            raise Conflict(f"{name} is not running any more.")
        await self._end(kept, "stopped by hand", GRACE_S)

    @asynccontextmanager
    async def stopped_during(self, run_id: str) -> AsyncIterator[tuple[str, ...]]:
        """None runs as long as this lasts. Gives the names of those that were stopped for it."""
        self._measuring = run_id
        try:
            yield await self._end_all(f"stopped because run {run_id} began", GRACE_S)
        finally:
            self._measuring = ""

    async def close(self) -> None:
        await self._end_all("Looplab was stopped", SHUTDOWN_GRACE_S)

    async def _begin(self, name: str, target: Target) -> None:
        try:
            application = resolve_application(target, self._runtime.applications)
            self._kept[name].running = await start_application(
                application, target, self._runtime.place()
            )
        except TargetFailed as fault:
            self._kept[name].reason, self._kept[name].log = str(fault), fault.log

    async def _end_all(self, reason: str, grace_s: float) -> tuple[str, ...]:
        """Also what is left of those that ended by themselves. The names of those that ran."""
        alive = tuple(one.name for one in self._kept.values() if one.alive)
        kept = [one for one in self._kept.values() if not one.settled]
        await asyncio.gather(*(self._end(one, reason, grace_s) for one in kept))
        return alive

    async def _clear(self, ended: Iterable[_Kept]) -> None:
        for one in ended:
            await self._end(one, one.ended, GRACE_S)

    async def _end(self, kept: _Kept, reason: str, grace_s: float) -> None:
        kept.reason = kept.ended or reason
        if not kept.task.done():
            kept.task.cancel()
            await asyncio.wait([kept.task])
        if kept.running is not None:
            await kept.running.stop(grace_s)
        kept.settled = True


def _settle(task: asyncio.Task[None], kept: _Kept) -> None:
    """One that could not be started for a reason of ours says so."""
    fault = None if task.cancelled() else task.exception()
    if fault is not None:
        log.error("start of %s", kept.name, exc_info=fault)
        kept.reason = kept.reason or "Something went wrong in Looplab."


def _still_shown(kept: Mapping[str, _Kept], name: str) -> dict[str, _Kept]:
    """Without `name` and the oldest that ended."""
    ended = [one.name for one in kept.values() if one.ended and one.name != name]
    gone = {name, *ended[:-MOST_ENDED]}
    return {key: one for key, one in kept.items() if key not in gone}
