"""How long a run will take, and what it shows while it is measured: phase, progress, seconds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from math import ceil, inf
from typing import TYPE_CHECKING

from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.observations import Gauges
from control_plane.domain.result import Progress
from control_plane.domain.run import LastRun, Live, LiveStream, State
from control_plane.domain.spec import Spec, Stream
from control_plane.domain.stream_record import Second, merge_seconds
from control_plane.domain.times_and_percentiles import Times, Unanswered
from control_plane.domain.unanswered import as_far_as_believed, unanswered_share
from control_plane.domain.units import SPACE

if TYPE_CHECKING:
    from control_plane.analysis.deciding.judged_experiment import JudgedExperiment
    from control_plane.domain.histogram import Histogram

START_S = 1.2
"""A bundled target and its load workers until both are ready; for any that never started here."""

REACH_S = 0.5
"""The load workers alone, beside a target whose start is known, or which runs already."""

UNKNOWN = LastRun()


@dataclass(frozen=True)
class Phases:
    """Expected seconds of one trial. The warm-up includes the longest ramp-up."""

    start_s: float
    warmup_s: float
    measure_s: float

    @property
    def trial_s(self) -> float:
        return self.start_s + self.warmup_s + self.measure_s

    @property
    def text(self) -> str:
        """Return `start 1.2 s, warm-up 1 s, measure 5 s`."""
        named = (
            ("start", self.start_s),
            ("warm-up", self.warmup_s),
            ("measure", self.measure_s),
        )
        return ", ".join(f"{name} {_seconds(value)}" for name, value in named if value)


def expected_seconds(spec: Spec, last: LastRun = UNKNOWN) -> float:
    """Return how long all trials of the run take; `last` as in `expected_phases`."""
    return spec.trials * expected_phases(spec, last).trial_s


def experiment_seconds(arms: Sequence[Spec], expected_seconds: Callable[[Spec], float]) -> float:
    """Return how long the blocks of these arms take, and the burnt trial before them.

    `expected_seconds` of a spec is how long all its trials take.
    """
    each = [expected_seconds(spec) for spec in arms]
    return sum(each) + max(each) / arms[0].trials


def expected_phases(spec: Spec, last: LastRun = UNKNOWN) -> Phases:
    """Return the expected phases of one trial, by what the last run of this kind tells."""
    rate = last.rate_per_s or STRATEGIES[spec.client.strategy].usual_per_s
    ramps = [stream.load.ramp_up_s for stream in spec.workload.streams]
    return Phases(
        start_s=_start_s(spec, last),
        warmup_s=spec.warmup_s + max(ramps),
        measure_s=max(_window_s(stream, rate) for stream in spec.workload.streams),
    )


def _start_s(spec: Spec, last: LastRun) -> float:
    if not spec.target.started:
        return REACH_S
    return START_S if last.ready_s is None else last.ready_s + REACH_S


def _window_s(stream: Stream, rate_per_s: float) -> float:
    if stream.stop.duration_s is not None:
        return stream.start_after_s + stream.stop.duration_s
    requests = stream.stop.requests or 0
    return stream.start_after_s + max(requests / rate_per_s, stream.load.least_s(requests))


def _seconds(value_s: float) -> str:
    tenths = f"{value_s:,.1f}" if value_s < 10 else f"{value_s:,.0f}"
    return f"{tenths.removesuffix('.0')}{SPACE}s"


Clock = Callable[[], float]
"""A monotonic clock in seconds."""


def _no_samples() -> "Histogram":
    from control_plane.domain.histogram import EMPTY

    return EMPTY


@dataclass
class StreamProgress:
    """The seconds of one stream in the present trial, and their merged histogram.

    `warmup` are those of the warm-up, which lasts `warmup_s`. `opens_s` as in Timeline; what is
    expected until its window opens. `waiting` by process: how many responses are still awaited.
    `open_ends` as in a record.
    """

    stream: Stream
    warmup_s: float = 0.0
    opens_s: float = 0.0
    seconds: list[Second] = field(default_factory=list)
    response: "Histogram" = field(default_factory=_no_samples)
    errors: int = 0
    unanswered: int = 0
    timeouts: int = 0
    warmup: list[Second] = field(default_factory=list)
    waiting: dict[int, int] = field(default_factory=dict)
    open_ends: dict[str, str] = field(default_factory=dict)

    def add(self, second: Second) -> None:
        """Take a second of one process; those of the same index are merged.

        A second of the warm-up counts for nothing.
        """
        from control_plane.domain.histogram import merge

        if second.index < 0:
            _insert(self.warmup, second)
            return
        _insert(self.seconds, second)
        self.response = merge([self.response, second.response])
        self.errors += second.errors
        self.unanswered += second.unanswered
        self.timeouts += second.timeouts

    @property
    def ended(self) -> int:
        """How many requests ended, errors included."""
        return self.response.total + self.errors

    def view(self, measured_s: float, deadline_s: float | None = None) -> LiveStream:
        """Return what pages show of it. `measured_s` counts from the first window of the trial,
        `deadline_s` is that of a request.
        """
        from control_plane.analysis.summary import timeline_of, warmup_of

        measured_s = max(0.0, measured_s - self.opens_s)
        has_schedule = self.stream.load.is_open and self.stream.stop.duration_s is not None
        spent = min(measured_s, self.seconds[-1].index + 1) if self.seconds else 0
        return LiveStream(
            name=self.stream.name,
            completed=self.response.total,
            errors=self.errors,
            throughput_per_s=self.response.total / spent if spent else None,
            response_time_s=self._times(deadline_s),
            timeline=replace(
                timeline_of(self.seconds, measured_s),
                opens_s=self.opens_s,
                warmup=warmup_of(self.warmup, self.warmup_s, ceil(round(self.warmup_s, 6))),
            ),
            intended=self._starts("intended") if has_schedule else None,
            sent=self._starts("sent") if has_schedule else (),
        )

    def _starts(self, name: str) -> tuple[int, ...]:
        """Return a count of each second."""
        counts = {second.index: getattr(second, name) or 0 for second in self.seconds}
        return tuple(counts.get(index, 0) for index in range(max(counts, default=-1) + 1))

    def _times(self, deadline_s: float | None) -> Times | None:
        """Return the times of what completed, as far as the share without an answer lets them."""
        from control_plane.analysis.summary import times

        completed = self.response.total
        share = unanswered_share(self.unanswered, completed)
        known = times(self.response)
        found = Unanswered(self.unanswered, share, deadline_s)
        if self.timeouts:
            found = replace(
                found, waited=self.timeouts, mean_wait_s=deadline_s, max_wait_s=deadline_s
            )
        return as_far_as_believed(known, completed, found) if known else None


def _insert(seconds: list[Second], second: Second) -> None:
    """Put a second in its place, merged with what another process told of the same one."""
    place = len(seconds)
    while place and seconds[place - 1].index >= second.index:
        place -= 1
    seconds[place:] = merge_seconds([*seconds[place:], second])


class LiveRun:
    """The run that works now. Written by its job, read by pages; both in one process.

    `expected`: how long each phase of a trial will take.
    """

    def __init__(
        self, run_id: str, streams: Sequence[Stream], trials: int, phases: Phases, clock: Clock
    ) -> None:
        self.run_id = run_id
        self._declared, self._trials = tuple(streams), trials
        self.expected, self._clock = phases, clock
        self._share = 0.0
        self.obstacle = ""
        self.deadline_s: float | None = None
        self.begin_trial(1)

    def begin_trial(self, number: int) -> None:
        """Forget the trial before; `number` counts from 1."""
        self.trial = number
        self.streams = self._empty_streams()
        self._closed_s: float | None = None
        self.gauges: Callable[[], Gauges] = lambda: Gauges(0.5, ())
        self.log: Callable[[], tuple[str, ...]] = tuple
        self.enter(State.STARTING)

    def _empty_streams(self) -> dict[str, StreamProgress]:
        """The load of a window by duration runs before it; the plan has the longest ramp-up."""
        ramps = [stream.load.ramp_up_s for stream in self._declared]
        leads = [self.expected.warmup_s - max(ramps) + ramp for ramp in ramps]
        opens = [
            stream.start_after_s + lead for stream, lead in zip(self._declared, leads, strict=True)
        ]
        return {
            stream.name: StreamProgress(
                stream,
                warmup_s=lead if stream.stop.duration_s is not None else 0.0,
                opens_s=at_s - min(opens),
            )
            for stream, lead, at_s in zip(self._declared, leads, opens, strict=True)
        }

    def close_window(self) -> None:
        """Take down that the last stream's window is over; responses may still be awaited."""
        self._closed_s = self._spent_s

    def enter(self, phase: State) -> None:
        """Take down that a phase begins now."""
        self.phase, self._since = phase, self._clock()

    @property
    def _spent_s(self) -> float:
        return self._clock() - self._since

    @property
    def measured_s(self) -> float:
        """The seconds since the window opened, until it was over."""
        if self.phase is not State.RUNNING:
            return 0.0
        return self._spent_s if self._closed_s is None else self._closed_s

    @property
    def awaited(self) -> int:
        """How many open requests have no response yet after the window."""
        left = (sum(stream.waiting.values()) for stream in self.streams.values())
        return 0 if self._closed_s is None else sum(left)

    def progress(self) -> Progress:
        """Return how far it is, by the plan and the requests that ended; `share` never falls."""
        whole = self.expected.trial_s * self._trials
        left = max(0.0, self._left_in_trial()) + self.expected.trial_s * (self._trials - self.trial)
        self._share = max(self._share, min(1.0, 1 - left / whole) if whole else 0.0)
        where = (self.phase.value, self.trial, self._trials, self._share, left, None)
        return Progress(*where, awaited=self.awaited)

    def _left_in_trial(self) -> float:
        plan = self.expected
        if self.phase is State.STARTING:
            return max(plan.start_s - self._spent_s, 0) + plan.warmup_s + plan.measure_s
        if self.phase is State.WARMING:
            return max(plan.warmup_s - self._spent_s, 0) + plan.measure_s
        if self.phase is State.RUNNING:
            return max(
                (self._left_in_window(stream) for stream in self.streams.values()), default=0
            )
        return 0.0

    def _left_in_window(self, progress: StreamProgress) -> float:
        stop = progress.stream.stop
        if stop.duration_s is not None:
            return stop.duration_s + progress.stream.start_after_s - self._spent_s
        if not progress.ended:
            return max(self.expected.measure_s - self._spent_s, 0)
        until = progress.seconds[-1].index + 1
        pace = progress.ended / until
        since = max(0.0, self._spent_s - until)
        return max(0.0, ((stop.requests or 0) - progress.ended) / pace - since)

    def live(self) -> Live:
        """Return all that pages draw of it now."""
        return Live(
            run_id=self.run_id,
            progress=self.progress(),
            measured_s=self.measured_s,
            streams=tuple(
                stream.view(self.measured_s, self.deadline_s) for stream in self.streams.values()
            ),
            gauges=self.gauges(),
            log=self.log(),
            awaited=self.awaited,
            obstacle=self.obstacle,
        )


def experiment_left_s(
    judged: "JudgedExperiment", expected_seconds: Callable[[Spec], float]
) -> float | None:
    """Return how long an experiment still takes, by how long its trials took; None once it is over.

    `expected_seconds` of a spec is how long all its trials take. Before the first it counts the
    burnt one, too.
    """
    if judged.state.terminal:
        return None
    runs = [run for run in judged.runs if run]
    trial_s = {run.id: expected_seconds(run.spec) / run.spec.trials for run in runs}
    left_s = sum(
        trial_s[run.id] * max(0, run.spec.trials - len(run.trials))
        for run in runs
        if not run.state.terminal
    )
    burnt_s = 0.0 if judged.experiment.sessions else max(trial_s.values(), default=0.0)
    return _slower(judged, trial_s) * left_s + burnt_s


def _slower(judged: "JudgedExperiment", expected_s: Mapping[str, float]) -> float:
    """Return by what factor trials took longer than expected, from start to start, no pauses."""
    took_s = foreseen_s = 0.0
    for (began, run_id, session), (following, _, later) in pairwise(_trial_starts(judged)):
        if session == later:
            took_s += (following - began).total_seconds()
            foreseen_s += expected_s[run_id]
    return took_s / foreseen_s if took_s > 0 and foreseen_s else 1.0


def _trial_starts(judged: "JudgedExperiment") -> list[tuple[datetime, str, int]]:
    """Return when each trial began, of which run and in which session, oldest first."""
    sessions = {block.number: block.session for block in judged.experiment.blocks}
    return sorted(
        (datetime.fromisoformat(trial.started_at), run.id, sessions.get(trial.block, 0))
        for run in judged.runs
        if run
        for trial in run.trials
    )


def experiment_took_s(judged: "JudgedExperiment") -> float | None:
    """Return how long an experiment that is over was measured; None where none of it was.

    Nobody wrote down when a session ended: of what lies between two, and before the end of one that
    did not finish, as much counts as two trials took, the last one and the burnt one.
    """
    runs = [run for run in judged.runs if run]
    begun = min((run.started_at for run in runs if run.started_at), default=None)
    ended = max((run.finished_at for run in runs if run.finished_at), default=None)
    if begun is None or ended is None or not judged.state.terminal:
        return None
    starts = _trial_starts(judged)
    finished = judged.state is State.FINISHED
    moments = [(began, session) for began, _, session in starts]
    moments += [(ended, moments[-1][1] if finished and moments else -1)]
    gaps = [
        ((following - began).total_seconds(), session == later)
        for (began, session), (following, later) in pairwise(moments)
    ]
    within = [gap_s for gap_s, together in gaps if together]
    most_s = 2 * sum(within) / len(within) if within else inf
    paused_s = sum(max(0.0, gap_s - most_s) for gap_s, together in gaps if not together)
    return (ended - begun).total_seconds() - paused_s
