"""All that a cause is judged by: a run that is over, with what was seen of its target."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from control_plane.domain.limits import BUSY_SHARE
from control_plane.domain.result import Gauges, Stall, Summary, Trial, Validity, WorkerSeries
from control_plane.domain.spec import Spec

IDLE_SHARE = 0.1
"""A master or a companion uses less of a core than this."""


@dataclass(frozen=True)
class WorkerTrial:
    """One worker of the target in one trial, whose number counts from 1.

    `cpu_share` of one core, None where its process was not watched.
    """

    trial_number: int
    series: WorkerSeries
    stalls: tuple[Stall, ...]
    interval_s: float
    window_s: float
    cpu_share: float | None


@dataclass(frozen=True)
class Evidence:
    """A run that is over: `streams` merged over the trials, `gauges` one for each trial.

    `cpu_count`: cores of the machine. `source` holds lines of source text by `file:line`, for
    the frames of the stalls.
    """

    spec: Spec
    trials: tuple[Trial, ...]
    streams: tuple[Summary, ...]
    gauges: tuple[Gauges, ...]
    validity: Validity
    cpu_count: int | None = None
    source: Mapping[str, str] = field(default_factory=dict)

    @property
    def workers(self) -> tuple[WorkerTrial, ...]:
        """The workers seen from inside, trial by trial; empty for a target without a probe."""
        pairs = enumerate(zip(self.trials, self.gauges, strict=True), start=1)
        return tuple(
            worker
            for number, (trial, gauges) in pairs
            for worker in _workers(number, window_s(trial), gauges)
        )

    @property
    def disturbed(self) -> bool:
        """Whether other programs took so much of the processor that a wait may be theirs."""
        return any(reason.gate == "other_load" for reason in self.validity.reasons)

    @property
    def cpu_contended(self) -> bool:
        """Whether a wait may be that for a processor which others used."""
        return self.disturbed or any(
            trial.target.cores is None and self._machine_full(trial) for trial in self.trials
        )

    def _machine_full(self, trial: Trial) -> bool:
        """Whether all cores were in use, also where it is not known."""
        length_s, spent_s = window_s(trial), trial.target.cpu_s
        if self.cpu_count is None or spent_s is None or not length_s:
            return True
        used = (spent_s + trial.client.cpu_s) / length_s + (trial.client.other_cpu or 0.0)
        return used >= BUSY_SHARE * self.cpu_count

    @property
    def configured_workers(self) -> int | None:
        """The workers of the spec; None where it does not say it, as that of a command."""
        return self.spec.target.workers

    @property
    def worker_count(self) -> int:
        """The workers of the spec; where it has none, the target's processes that were not idle."""
        return self.configured_workers or max([1, *map(_busy_processes, self.gauges)])

    @property
    def users(self) -> int:
        """The requests that can be in flight at once; those of an open load as they were seen,
        because its own bound is too far up.
        """
        loads = [stream.load for stream in self.spec.workload.streams]
        seen = [number or 0 for worker in self.workers for number in worker.series.in_flight]
        bounded = sum(load.users for load in loads if not load.is_open)
        return bounded + (max(seen, default=0) if any(load.is_open for load in loads) else 0)


def window_s(trial: Trial) -> float:
    """Return how long the gauges watched, which is the longest window of the streams."""
    longest_s = max((stream.duration_s for stream in trial.streams), default=0.0)
    return trial.target.watched_s or longest_s


def mean_of(values: Sequence[float]) -> float | None:
    """Return the mean; None of no values."""
    return sum(values) / len(values) if values else None


def _busy_processes(gauges: Gauges) -> int:
    processes = (process for process in gauges.processes if process.role == "target")
    shares = (mean_of(process.cpu_share) or 0.0 for process in processes)
    return sum(share > IDLE_SHARE for share in shares)


def _workers(number: int, length_s: float, gauges: Gauges) -> Iterator[WorkerTrial]:
    processes = (process for process in gauges.processes if process.role == "target")
    shares = {process.pid: mean_of(process.cpu_share) for process in processes}
    for series in gauges.workers:
        stalls = tuple(stall for stall in gauges.stalls if stall.worker == series.pid)
        yield WorkerTrial(
            number, series, stalls, gauges.interval_s, length_s, shares.get(series.pid)
        )
