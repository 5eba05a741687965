"""What a running job shows of itself while it works: phase, progress, seconds measured so far."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from control_plane.analysis.estimate import Phases
from control_plane.analysis.processes import merge_seconds
from control_plane.analysis.summary import timeline_of, times
from control_plane.domain.histogram import EMPTY, Histogram, merge
from control_plane.domain.record import Second
from control_plane.domain.result import Gauges, Progress
from control_plane.domain.run import Live, LiveStream
from control_plane.domain.spec import StopRequests, Stream
from control_plane.domain.states import State

Clock = Callable[[], float]
"""A monotonic clock in seconds."""


@dataclass
class StreamBoard:
    """The seconds of one stream in the present trial, and their merged histogram.

    `opens_s` as in Timeline; 0 until its window opens.
    """

    stream: Stream
    seconds: list[Second] = field(default_factory=list)
    response: Histogram = EMPTY
    errors: int = 0
    opens_s: float = 0.0

    def add(self, second: Second) -> None:
        """Each process of the stream tells its own second of an index.

        Those of the warm-up count for nothing here.
        """
        if second.index < 0:
            return
        place = len(self.seconds)
        while place and self.seconds[place - 1].index >= second.index:
            place -= 1
        self.seconds[place:] = merge_seconds([*self.seconds[place:], second])
        self.response = merge([self.response, second.response])
        self.errors += second.errors

    @property
    def ended(self) -> int:
        return self.response.total + self.errors

    def view(self, measured_s: float) -> LiveStream:
        """`measured_s` counts from the first window of the trial."""
        measured_s = max(0.0, measured_s - self.opens_s)
        spent = min(measured_s, self.seconds[-1].index + 1) if self.seconds else 0
        return LiveStream(
            name=self.stream.name,
            completed=self.response.total,
            errors=self.errors,
            throughput_per_s=self.response.total / spent if spent else None,
            response_time_s=times(self.response),
            timeline=replace(timeline_of(self.seconds, measured_s), opens_s=self.opens_s),
        )


class Board:
    """The job that works now. Written by the job, read by pages; both in one process."""

    def __init__(
        self, run_id: str, streams: Sequence[Stream], trials: int, phases: Phases, clock: Clock
    ) -> None:
        self.run_id = run_id
        self._declared, self._trials = tuple(streams), trials
        self._phases, self._clock = phases, clock
        self._share = 0.0
        self.begin_trial(1)

    def begin_trial(self, number: int) -> None:
        self.trial = number
        self.streams = {stream.name: StreamBoard(stream) for stream in self._declared}
        self.gauges: Callable[[], Gauges] = lambda: Gauges(0.5, ())
        self.log: Callable[[], tuple[str, ...]] = tuple
        self.enter(State.STARTING)

    def enter(self, phase: State) -> None:
        self.phase, self._since = phase, self._clock()

    @property
    def _spent_s(self) -> float:
        return self._clock() - self._since

    @property
    def measured_s(self) -> float:
        return self._spent_s if self.phase is State.RUNNING else 0.0

    def progress(self) -> Progress:
        """`share` from the plan's times and the requests that ended; it never goes back."""
        whole = self._phases.trial_s * self._trials
        left = max(0.0, self._left_in_trial()) + self._phases.trial_s * (self._trials - self.trial)
        self._share = max(self._share, min(1.0, 1 - left / whole) if whole else 0.0)
        return Progress(self.phase.value, self.trial, self._trials, self._share, left, None)

    def _left_in_trial(self) -> float:
        plan = self._phases
        if self.phase is State.STARTING:
            return max(plan.start_s - self._spent_s, 0) + plan.warmup_s + plan.measure_s
        if self.phase is State.WARMING:
            return max(plan.warmup_s - self._spent_s, 0) + plan.measure_s
        if self.phase is State.RUNNING:
            return max((self._left_in_window(one) for one in self.streams.values()), default=0)
        return 0.0

    def _left_in_window(self, board: StreamBoard) -> float:
        stop = board.stream.stop
        if not isinstance(stop, StopRequests):
            return stop.duration_s + board.stream.start_after_s - self._spent_s
        if not board.ended:
            return max(self._phases.measure_s - self._spent_s, 0)
        until = board.seconds[-1].index + 1
        pace = board.ended / until
        since = max(0.0, self._spent_s - until)
        return max(0.0, (stop.requests - board.ended) / pace - since)

    def live(self) -> Live:
        return Live(
            run_id=self.run_id,
            progress=self.progress(),
            measured_s=self.measured_s,
            streams=tuple(one.view(self.measured_s) for one in self.streams.values()),
            gauges=self.gauges(),
            log=self.log(),
        )
