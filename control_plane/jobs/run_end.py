"""How a run ends: which end it takes, and that the store takes it, once and whole.

    undecided ── finish(): result and state in one transaction ───────────→ finished
        │
        │  the first of these stands, those after it change nothing:
        │    fail()              the target, a client, the database or Looplab failed → failed
        │    request(CANCELLED)  somebody cancelled the run                           → cancelled
        │    request(PAUSED)     somebody paused the experiment of which it is an arm → paused
        │    request(STOPPED)    Looplab is stopped: interrupted, or paused as an arm
        ↓
     decided ── write() ────────────────────────────────→ failed, cancelled, paused, interrupted
        │  ↑ ↺ once a second while another process holds the database
        │  │
        ↓  │ once a second; pages tell why
    obstructed: the database refuses the write (disk full, file gone)

A run that waits ends by `withdraw`. What an earlier control plane left is interrupted at the next
start (`recover` in runtime.py).
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from control_plane.domain.errors import (
    Conflict,
    DatabaseBusy,
    DatabaseFull,
    StoreError,
    TrialFailed,
)
from control_plane.domain.result import Cause
from control_plane.domain.run import Run, State, TrialResult
from control_plane.domain.secrets import SecretFinder
from control_plane.jobs.progress import LiveRun
from control_plane.store.store import Store
from control_plane.store.writer import MergedResult

log = logging.getLogger("looplab.jobs")

RETRY_S = 1.0
"""How long to wait before the database is asked again after it could not be used."""


class RunEnd(NamedTuple):
    """The state of a run that gives no result, and the reason.

    `in_trial`: the reason also names the trial, and then `remedy`. `log` holds the last lines of
    the process that failed, oldest first.
    """

    state: State
    why: str
    remedy: str = ""
    in_trial: bool = True
    log: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()


CANCELLED = RunEnd(State.CANCELLED, "cancelled")
PAUSED = RunEnd(State.PAUSED, "paused", in_trial=False)
STOPPED = RunEnd(State.INTERRUPTED, "Looplab was stopped")
DISK_FULL = RunEnd(
    State.FAILED, "disk full", "make space where the database lies, then run it again"
)
UNUSABLE = RunEnd(State.FAILED, "the database cannot be used")


class Termination:
    """Decides how one run ends, and writes all that the store keeps of its way there.

    `state` is the state that the store holds.
    """

    def __init__(self, run: Run, store: Store, live_run: LiveRun) -> None:
        self._run, self._store, self._live_run = run, store, live_run
        self.state = run.state
        self._end: RunEnd | None = None
        self._writing = asyncio.Lock()

    @property
    def over(self) -> bool:
        """Whether the store holds a state in which nothing works on it."""
        return self.state.terminal or self.state is State.PAUSED

    def request(self, end: RunEnd) -> bool:
        """Decide the end; False when another one was decided before."""
        if self._end is not None:
            return False
        self._end = end
        return True

    def fail(
        self,
        faults: ExceptionGroup[Exception],
        causes: tuple[Cause, ...] = (),
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        """Decide the end by what went wrong. A failure of the trial comes before one of ours.

        `causes` are those of the trials that ended before; `secrets` are hidden in what is told.
        """
        trial, others = faults.split(TrialFailed)
        store, mistakes = others.split(StoreError) if others else (None, None)
        if trial:
            end = _end_of_trial(_first_error(trial), causes)
            finder = SecretFinder(secrets or {})
            lines = tuple(finder.hide(line) for line in end.log)
            self.request(end._replace(why=finder.hide(end.why), log=lines))
        if store:
            fault = _first_error(store)
            log.error("run %s: %s", self._run.id, fault)
            self.request(DISK_FULL if isinstance(fault, DatabaseFull) else UNUSABLE)
        if mistakes:
            log.error("run %s", self._run.id, exc_info=mistakes)
            self.request(_end_of_mistake(_first_error(mistakes)))

    async def move(self, after: State, **facts: Any) -> None:
        """Change the state in the store and here: both, or neither, also when cancelled."""

        def change() -> None:
            self._store.move(self._run.id, self.state, after, **facts)
            self.state = after

        await written(change)

    async def keep(self, result: TrialResult) -> None:
        """Store what one trial measured."""
        await written(lambda: self._store.save_trial(self._run.id, result))

    async def finish(
        self,
        judge: Callable[[], MergedResult],
        keep: Callable[[str, MergedResult], None] | None = None,
    ) -> None:
        """Store the merged result and `finished`: both, or neither, also when cancelled.

        `keep` stores them where something else is kept with them.
        """

        def change() -> None:
            result = judge()
            if keep is None:
                self._store.finish(self._run.id, *result)
            else:
                keep(self._run.id, result)
            self.state = State.FINISHED

        await written(change)

    async def write(self) -> None:
        """Store the end that was decided, unless the run is over. Raises StoreError."""
        async with self._writing:
            if self._end is not None and not self.over:
                facts = {"log": self._end.log, "causes": self._end.causes}
                with self.withdrawn():
                    await self.move(self._end.state, reason=self._reason(self._end), **facts)

    @contextmanager
    def withdrawn(self) -> Iterator[None]:
        """Take it for cancelled where somebody withdrew it from the queue in the meantime."""
        try:
            yield
        except Conflict:
            if self.state is not State.QUEUED:
                raise
            self.state = State.CANCELLED

    async def settle(self, fault: BaseException | None) -> None:
        """Store the end where the job itself did not, however long the database refuses it.

        `fault` is what the job ended with.
        """
        if fault is not None:
            fault = _first_error(fault)
            self.request(_end_of_mistake(fault))
            log.error(
                "the end of run %s (%s) is not written: %s",
                self._run.id,
                self._end.why if self._end else "",
                fault,
                exc_info=None if isinstance(fault, StoreError) else fault,
            )
        while self._end is not None and not self.over:
            self._live_run.obstacle = _obstacle(fault) if fault else ""
            try:
                await self.write()
            except Conflict:
                return
            except StoreError as again:
                fault = again
                await asyncio.sleep(RETRY_S)

    def _reason(self, end: RunEnd) -> str:
        """Return why the run ended, with the trial that worked then."""
        if not end.in_trial:
            return end.why
        why = f"{end.why} in trial {self._live_run.trial} of {self._run.spec.trials}"
        return f"{why}: {end.remedy}" if end.remedy else why


def withdraw(store: Store, run: Run, end: RunEnd = CANCELLED) -> bool:
    """End a run that waits or is paused; False when that is no longer so."""
    if run.state not in (State.QUEUED, State.PAUSED):
        return False
    try:
        store.move(run.id, run.state, end.state, reason=f"{end.why} while {run.state}")
    except Conflict:
        return False
    return True


def _first_error(fault: BaseException) -> BaseException:
    """Return the first error of a group, at any depth; what is no group is itself."""
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return fault


def _end_of_trial(fault: BaseException, causes: tuple[Cause, ...]) -> RunEnd:
    lines = fault.log if isinstance(fault, TrialFailed) else ()
    return RunEnd(State.FAILED, str(fault), in_trial=False, log=lines, causes=causes)


def _end_of_mistake(fault: BaseException) -> RunEnd:
    return RunEnd(State.FAILED, _internal(fault), in_trial=False)


def _internal(fault: BaseException) -> str:
    return f"internal error: {type(fault).__name__}"


def _obstacle(fault: BaseException) -> str:
    """Return why an end cannot be written, for pages."""
    return fault.plain if isinstance(fault, StoreError) else f"{_internal(fault)}."


async def written(change: Callable[[], Any]) -> None:
    """Write what may not be lost: as long as another process holds the database, try again."""
    while True:
        try:
            return await _carried_through(change)
        except DatabaseBusy as fault:
            log.warning("a run waits: %s", fault)
        await asyncio.sleep(RETRY_S)


async def _carried_through(call: Callable[[], Any]) -> None:
    """Run a blocking call in a thread; a cancellation waits until it ended."""
    task = asyncio.create_task(asyncio.to_thread(call))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
