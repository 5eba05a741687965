"""A run with its states, trials and results, and what is live of it while it is measured."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from control_plane.domain.metrics_and_objectives import (
    JudgedObjective,
    ObjectiveOutcome,
    outcome_of_all,
)
from control_plane.domain.observations import Gauges
from control_plane.domain.result import (
    Cause,
    Environment,
    Progress,
    Summary,
    Timeline,
    Trial,
    Validity,
)
from control_plane.domain.spec import Spec
from control_plane.domain.stream_record import FailedResponse, Second, Slices, first_failures
from control_plane.domain.times_and_percentiles import Times

if TYPE_CHECKING:
    from control_plane.domain.histogram import Histogram


class State(StrEnum):
    """queued → starting → warming → running → finalizing → one of the terminal four.

    An arm of an experiment may be paused on its way, and is queued again when that goes on.
    """

    QUEUED = "queued"
    STARTING = "starting"
    WARMING = "warming"
    RUNNING = "running"
    FINALIZING = "finalizing"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def terminal(self) -> bool:
        """Whether the run is over."""
        return self in TERMINAL

    @property
    def active(self) -> bool:
        """Whether the queue is executing the run now."""
        return self in ACTIVE

    @property
    def waiting(self) -> bool:
        """Whether the run is not over, and its page follows it: it waits, or is executed."""
        return self is State.QUEUED or self in ACTIVE


TERMINAL = frozenset({State.FINISHED, State.FAILED, State.CANCELLED, State.INTERRUPTED})
ACTIVE = frozenset({State.STARTING, State.WARMING, State.RUNNING, State.FINALIZING})

_ABANDON = frozenset({State.FAILED, State.CANCELLED, State.INTERRUPTED, State.PAUSED})

ALLOWED: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.STARTING, State.CANCELLED, State.INTERRUPTED, State.PAUSED}),
    State.PAUSED: frozenset({State.QUEUED, State.CANCELLED}),
    State.STARTING: frozenset({State.WARMING, State.RUNNING, State.FINALIZING}) | _ABANDON,
    State.WARMING: frozenset({State.RUNNING}) | _ABANDON,
    State.RUNNING: frozenset({State.STARTING, State.FINALIZING}) | _ABANDON,
    State.FINALIZING: frozenset({State.STARTING, State.FINISHED}) | _ABANDON,
}


def allowed(before: State, after: State) -> bool:
    """Return whether a run may go from `before` to `after`; nothing leaves a terminal state."""
    return after in ALLOWED.get(before, frozenset())


def state_of_arms(states: Sequence[State]) -> State:
    """Return paused, queued or running until all arms are over; then finished where one is."""
    if not states:
        return State.CANCELLED
    if left := {state for state in states if not state.terminal}:
        at_rest = (state for state in (State.PAUSED, State.QUEUED) if left == {state})
        return next(at_rest, State.RUNNING)
    ends = (State.FINISHED, State.CANCELLED, State.INTERRUPTED, State.FAILED)
    return next(state for state in ends if state in states)


@dataclass(frozen=True)
class StreamResult:
    """One stream of one trial, or of a run: then all trials merged, and no timeline or seconds.

    `warmup` are the seconds before the window. `first_byte` None: nobody looked.
    """

    summary: Summary
    service: "Histogram"
    response: "Histogram"
    timeline: Timeline | None = None
    seconds: tuple[Second, ...] | None = None
    warmup: tuple[Second, ...] = ()
    send_lag: "Histogram | None" = None
    first_byte: "Histogram | None" = None


@dataclass(frozen=True)
class TrialResult:
    """All that one trial left: what the API shows (`trial`), and what the figures need.

    `numbers`: so many of each sequence were taken.
    """

    trial: Trial
    streams: tuple[StreamResult, ...]
    gauges: Gauges
    numbers: int = 0


@dataclass(frozen=True)
class DeletedRun:
    """What is left of a run that was deleted; `was_baseline` of the comparison that asks for it.

    `whole`: it can be put back.
    """

    id: str
    title: str
    deleted_at: datetime
    was_baseline: bool = False
    whole: bool = False

    @property
    def label(self) -> str:
        """`items, async (f1r5cer7qy, 2026-11-29)`, with the day on which it was deleted."""
        return f"{self.title} ({self.id}, {self.deleted_at:%Y-%m-%d})"


def listed_deleted(runs: Iterable[DeletedRun]) -> str:
    """Return the labels of deleted runs, with semicolons between, because titles have commas."""
    return "; ".join(run.label for run in runs)


@dataclass(frozen=True)
class Standing:
    """The runs of a comparison that are there, in its order, and those that were deleted.

    `baseline` is the one asked for, or the first that is there where that was deleted.
    """

    ids: tuple[str, ...]
    baseline: str
    deleted: tuple[DeletedRun, ...]


@dataclass(frozen=True)
class Origin:
    """Where an imported run comes from: the machine that measured it, and the file in hex."""

    machine: str
    imported_at: datetime
    sha256: str


@dataclass(frozen=True)
class Run:
    """One spec with its trials. Datetimes are UTC and aware.

    `streams` are the merged trials, empty until the first trial ended. `log` is what the target
    printed last, kept when the run failed. `command` is the server's command line. `causes`:
    those found, those not decided, then those ruled out; empty where none was judged.
    `objectives` are those of the spec, judged over the trials of a run that finished.
    `configuration` is `given_name`, by which its target was chosen, or else tells its parts.
    `origin` None: it was measured by this Looplab. `trial_rates`: the throughput of the first
    stream in each trial of a run that finished, also where `trials` are left out.
    """

    id: str
    title: str
    tags: tuple[str, ...]
    note: str
    state: State
    reason: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    spec: Spec
    command: str | None
    environment: Environment | None
    validity: Validity | None
    trials: tuple[Trial, ...]
    streams: tuple[Summary, ...]
    log: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    configuration: str = ""
    given_name: str | None = None
    objectives: tuple[JudgedObjective, ...] = ()
    origin: Origin | None = None
    trial_rates: tuple[float, ...] = ()

    @property
    def failures(self) -> tuple[FailedResponse, ...]:
        """The first request of each stream that failed in each way."""
        return first_failures(failed for trial in self.trials for failed in trial.failures)

    @property
    def objectives_outcome(self) -> ObjectiveOutcome | None:
        """Failed where an objective is, passed where all are; None without any."""
        return outcome_of_all(self.objectives)

    @property
    def resultless(self) -> bool:
        """Whether it is over and left nothing that could be compared."""
        return self.state.terminal and self.state is not State.FINISHED


@dataclass(frozen=True)
class RunOfSpec:
    """A finished run of some spec: when it began and ended, and the facts it was measured in."""

    id: str
    begun_at: datetime
    finished_at: datetime | None
    environment: Environment | None


@dataclass(frozen=True)
class LastRun:
    """What earlier runs tell of how long one takes; None where there is none of its kind.

    `rate_per_s` is their throughput, `ready_s` how long their target took to start.
    """

    rate_per_s: float | None = None
    ready_s: float | None = None


@dataclass(frozen=True)
class Pin:
    """A run that is kept under a name, from deletion too, and offered first as a baseline.

    It is one for runs of the same application and workload, the requests of all streams. `run` is
    the pinned one, or the baseline of the pinned experiment, of which `experiment_id` is the id.
    """

    name: str
    application: str
    workload: str
    run_id: str
    experiment_id: str | None
    title: str
    measured_at: datetime
    pinned_at: datetime

    @property
    def subject_id(self) -> str:
        """The id of what is pinned: the experiment, or the run."""
        return self.experiment_id or self.run_id


def pinned_for(spec: Spec) -> tuple[str, str]:
    """Return application and workload that a pinned run with this spec is a baseline for."""
    lines = (request.line for stream in spec.workload.streams for request in stream.requests)
    return spec.target.application or spec.target.url or "", "; ".join(dict.fromkeys(lines))


@dataclass(frozen=True)
class RunDetail:
    """What the run and compare pages draw beside the numbers of `run`.

    `streams` by stream name, all trials merged; `timelines` by stream name, one for each trial;
    `gauges` one for each trial; `slices` as `timelines`, empty where nobody asked for them.
    """

    run: Run
    streams: dict[str, StreamResult]
    timelines: dict[str, tuple[Timeline, ...]]
    gauges: tuple[Gauges, ...]
    slices: Mapping[str, tuple[Slices, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class LiveStream:
    """One stream of the trial that is measured now; `times` covers the window so far.

    Of an open load by duration `intended` requests were meant to start in each second, and `sent`
    went out; None and () of any other, where users decide when they send.
    """

    name: str
    completed: int
    errors: int
    throughput_per_s: float | None
    response_time_s: Times | None
    timeline: Timeline
    intended: tuple[int, ...] | None = None
    sent: tuple[int, ...] = ()


@dataclass(frozen=True)
class Live:
    """The trial that a job works on now. `measured_s` counts from the window's start to its end.

    After it `awaited` open requests have no answer yet. `obstacle`: why the end of a run that is
    over cannot be written, else "".
    """

    run_id: str
    progress: Progress
    measured_s: float
    streams: tuple[LiveStream, ...]
    gauges: Gauges
    log: tuple[str, ...]
    awaited: int = 0
    obstacle: str = ""
