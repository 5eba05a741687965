"""How a run ends: which end it takes, when silence is one, and that the store takes it whole.

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
start (`recover` in jobs/__init__.py).
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from control_plane.domain.endless_responses import EVENT_STREAM
from control_plane.domain.errors import (
    Conflict,
    DatabaseBusy,
    DatabaseFull,
    StoreError,
    TrialFailed,
    UnreadableRun,
)
from control_plane.domain.result import Cause
from control_plane.domain.run import Run, State, TrialResult
from control_plane.domain.secrets import SecretFinder
from control_plane.domain.spec import Spec
from control_plane.jobs.progress_and_expected_time import LiveRun, StreamProgress
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
    why = str(fault) if isinstance(fault, UnreadableRun) else _internal(fault)
    return RunEnd(State.FAILED, why, in_trial=False)


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


class IdleTimeout:
    """How long nothing was answered in one stream.

    Errors count as responses where they come more often than requests that only run into their
    deadline could: at most one for each user and deadline.
    """

    def __init__(self, users: int, timeout_s: float) -> None:
        self._users, self._timeout_s = users, timeout_s
        self._completed = self._errors = -1
        self._since_s = 0.0
        self.lasts_s = 0.0

    def look(self, completed: int, errors: int, now_s: float) -> None:
        """Take down the counts so far."""
        overdue = self._users * ((now_s - self._since_s) / self._timeout_s + 1)
        if completed != self._completed or errors - self._errors > overdue:
            self._completed, self._errors, self._since_s = completed, errors, now_s
        self.lasts_s = now_s - self._since_s


def longest_silence_s(progress: StreamProgress, timeout_s: float) -> float:
    """Return the seconds without a response that a target may take: two deadlines and a second
    beyond the longest time in which the stream may rightly be still. A second more where responses
    without an end have begun, so that what became of the last ones is known.
    """
    stream, load = progress.stream, progress.stream.load
    still_s = stream.start_after_s + load.ramp_up_s + load.longest_pause_s
    return 2 * timeout_s + 1 + still_s + bool(progress.open_ends)


def silence_reason(progress: StreamProgress, spec: Spec) -> str:
    """Return why nothing of a stream ended for so long, and what to do.

    Answers went on without an end, or there was none.
    """
    from control_plane.analysis.validity.response_gates import UNTIL_REMEDY, endless_text

    timeout_s, streams = spec.timeout_s, spec.workload.streams
    if (endless := _endless(progress, timeout_s)) is not None:
        kind, media_type = endless
        text = endless_text(progress.stream.requests[kind], media_type, f"within {timeout_s:g} s")
        return f"{text}. {UNTIL_REMEDY}"
    where = f" in stream {progress.stream.name}" if len(streams) > 1 else ""
    limit = f"two requests of timeout_s ({timeout_s:g} s) would have ended"
    longest_s = longest_silence_s(progress, timeout_s)
    return (
        f"target stopped answering: nothing answered for {longest_s:.0f} s, in which {limit}{where}"
    )


def _endless(progress: StreamProgress, timeout_s: float) -> tuple[int, str] | None:
    """Return place and media type of the request class whose answers have no end; None of none.

    Most of the requests that went out after the last one that completed must have been answered:
    a target that hangs begins no answer.
    """
    last = max((second.index for second in progress.seconds if second.completed), default=-1)
    after = [second for second in progress.seconds if second.index > last + timeout_s]
    begun = sum(second.first_byte.total for second in after if second.first_byte)
    # An answer of another status or content ended, too.
    begun -= sum(second.errors - second.unanswered for second in after)
    if not progress.open_ends or 2 * begun <= sum(second.timeouts for second in after):
        return None
    place, media_type = max(progress.open_ends.items(), key=lambda known: known[1] == EVENT_STREAM)
    return int(place), media_type
