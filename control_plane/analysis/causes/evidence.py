"""All that a cause is judged by: a run that is over, with what was seen of its target."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from control_plane.domain.limits import BUSY_SHARE
from control_plane.domain.result import Gauges, Stall, Summary, Trial, Validity, WorkerSeries
from control_plane.domain.spec import Spec, Target

IDLE_SHARE = 0.1
"""A master or a companion uses less of a core than this."""


@dataclass(frozen=True)
class WorkerTrial:
    """One worker of the target in one trial. `place` is that of the trial, from 1.

    `cpu_share` of one core, None where its process was not watched.
    """

    place: int
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
        """Those seen from inside, trial by trial; empty for a target without a probe."""
        return tuple(
            worker
            for place, (trial, gauges) in enumerate(
                zip(self.trials, self.gauges, strict=True), start=1
            )
            for worker in _workers(place, window_s(trial), gauges)
        )

    @property
    def disturbed(self) -> bool:
        """Whether other programs took so much of the processor that a wait may be theirs."""
        return any(reason.gate == "other_load" for reason in self.validity.reasons)

    @property
    def crowded(self) -> bool:
        """Whether a wait may be that for a processor which others used."""
        return self.disturbed or any(
            one.target.cores is None and self._full(one) for one in self.trials
        )

    def _full(self, trial: Trial) -> bool:
        """Also where it is not known."""
        length_s, spent_s = window_s(trial), trial.target.cpu_s
        if self.cpu_count is None or spent_s is None or not length_s:
            return True
        used = (spent_s + trial.client.cpu_s) / length_s + (trial.client.other_cpu or 0.0)
        return used >= BUSY_SHARE * self.cpu_count

    @property
    def asked_workers(self) -> int | None:
        """None where the spec does not say it, as that of a command."""
        return self.spec.target.workers if isinstance(self.spec.target, Target) else None

    @property
    def worker_count(self) -> int:
        """As the spec says; where it does not, the target's processes that were not idle."""
        return self.asked_workers or max([1, *map(_at_work, self.gauges)])

    @property
    def users(self) -> int:
        """Requests that can be in flight at once; an open load bounds them too far up to say so."""
        loads = [one.load for one in self.spec.workload.streams]
        seen = [number or 0 for one in self.workers for number in one.series.in_flight]
        given = sum(one.users for one in loads if not one.is_open)
        return given + (max(seen, default=0) if any(one.is_open for one in loads) else 0)


def window_s(trial: Trial) -> float:
    """How long the gauges watched, which is the longest window of the streams."""
    longest_s = max((one.duration_s for one in trial.streams), default=0.0)
    return trial.target.watched_s or longest_s


def mean_of(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _at_work(gauges: Gauges) -> int:
    shares = (mean_of(one.cpu_share) or 0.0 for one in gauges.processes if one.role == "target")
    return sum(share > IDLE_SHARE for share in shares)


def _workers(place: int, length_s: float, gauges: Gauges) -> Iterator[WorkerTrial]:
    shares = {one.pid: mean_of(one.cpu_share) for one in gauges.processes if one.role == "target"}
    for series in gauges.workers:
        stalls = tuple(one for one in gauges.stalls if one.worker == series.pid)
        yield WorkerTrial(
            place, series, stalls, gauges.interval_s, length_s, shares.get(series.pid)
        )
