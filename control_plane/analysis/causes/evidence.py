"""What every cause is made of: the evidence that it is judged by, its record and its numbers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from control_plane.domain.limits import BUSY_SHARE, THROTTLED_SHARE
from control_plane.domain.observations import Gauges, Stall, WorkerSeries
from control_plane.domain.result import Cause, Summary, Trial, Validity
from control_plane.domain.spec import Spec
from control_plane.domain.units import count, share

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
        """Return the workers seen from inside by trial; empty for a target without a probe."""
        return workers_of(self.trials, self.gauges)

    @property
    def disturbed(self) -> bool:
        """Whether others took so much of the processor that a wait may be theirs."""
        return any(reason.gate in {"other_load", "stolen"} for reason in self.validity.reasons)

    @property
    def held_back(self) -> bool:
        """Whether the kernel held the target back in so many periods that a wait may be that."""
        quotas = (trial.target.throttling for trial in self.trials)
        return any(quota and quota.share >= THROTTLED_SHARE for quota in quotas)

    @property
    def cpu_contended(self) -> bool:
        """Whether a wait may be that for a processor which others used."""
        full = (trial.target.cores is None and self._machine_full(trial) for trial in self.trials)
        return self.disturbed or self.held_back or any(full)

    def _machine_full(self, trial: Trial) -> bool:
        """Whether all cores were in use, also where it is not known."""
        length_s, spent_s = window_s(trial), trial.target.cpu_s
        if self.cpu_count is None or spent_s is None or not length_s:
            return True
        used = (spent_s + trial.client.cpu_s) / length_s + (trial.client.other_cpu or 0.0)
        return used >= BUSY_SHARE * self.cpu_count

    @property
    def configured_workers(self) -> int | None:
        """Return the workers of the spec; None where it does not say them, as that of a command."""
        return self.spec.target.workers

    @property
    def worker_count(self) -> int:
        """Return the workers of the spec; without any, the processes that were not idle."""
        return self.configured_workers or max([1, *map(_busy_processes, self.gauges)])

    @property
    def users(self) -> int:
        """Return the requests that can be in flight at once; of an open load those that were seen,
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
    processes = (
        process for process in gauges.processes if process.role == "target" and not process.program
    )
    shares = (mean_of(process.cpu_share) or 0.0 for process in processes)
    return sum(share > IDLE_SHARE for share in shares)


def workers_of(trials: Sequence[Trial], gauges: Sequence[Gauges]) -> tuple[WorkerTrial, ...]:
    """Return the workers that were seen in each trial, as far as there are gauges of it."""
    pairs = enumerate(zip(trials, gauges, strict=False), start=1)
    return tuple(
        worker
        for number, (trial, seen) in pairs
        for worker in worker_trials(number, window_s(trial), seen)
    )


def worker_trials(number: int, length_s: float, gauges: Gauges) -> Iterator[WorkerTrial]:
    """Yield the workers that the gauges of a trial saw, in a window of that length."""
    processes = (process for process in gauges.processes if process.role == "target")
    shares = {process.pid: mean_of(process.cpu_share) for process in processes}
    for series in gauges.workers:
        stalls = tuple(stall for stall in gauges.stalls if stall.worker == series.pid)
        yield WorkerTrial(
            number, series, stalls, gauges.interval_s, length_s, shares.get(series.pid)
        )


Measurements = Mapping[str, int | float | str | None]
"""Numbers by name, as they are stored with a cause."""

Phrase = Callable[[Measurements], str]


@dataclass(frozen=True)
class Diagnosis:
    """A cause that was judged: it explains the times of the run, or is ruled out.

    `found` None: what was seen does not decide; `measurements` say `why`.
    """

    found: bool | None
    measurements: Measurements


@dataclass(frozen=True)
class CauseRule:
    """One cause: how it is called, how it is judged, and what is said of it.

    `judge` returns None for a run in which it cannot be judged. `value` is the number that decided.
    `found` and `ruled_out` say what was seen, `detail` the evidence behind it, which may be empty;
    all without a capital and a full stop. `short` names it in a list, `watched` what every run
    would have, if it were seen; it is empty for a cause that asks for a load of its kind.
    """

    id: str
    label: str
    short: str
    judge: Callable[[Evidence], Diagnosis | None]
    value: Phrase
    found: Phrase
    ruled_out: Phrase
    detail: Phrase
    watched: str = ""

    def cause(self, evidence: Evidence) -> Cause | None:
        """Return the cause as it is stored with a run; None where it cannot be judged."""
        diagnosis = self.judge(evidence)
        if diagnosis is None:
            return None
        return Cause(self.id, self._text(diagnosis), diagnosis.measurements, diagnosis.found)

    def _text(self, diagnosis: Diagnosis) -> str:
        """Return what was seen: `No request waited for a thread; at most 3 of 40 were busy.`

        A second sentence says why nothing was decided.
        """
        measurements = diagnosis.measurements
        message = self.ruled_out if diagnosis.found is False else self.found
        seen, detail = message(measurements), self.detail(measurements)
        text = f"{seen}; {detail}." if detail else f"{seen}."
        if diagnosis.found is None:
            text = f"{text} Not decided: {measurements['why']}."
        return text[:1].upper() + text[1:]


def number_in(measurements: Measurements, name: str) -> float:
    """Return a number; 0 for what was not measured, which no sentence names then."""
    return float(measurements.get(name) or 0)


def share_in(measurements: Measurements, name: str) -> str:
    """Return a number as a share: `53 %`."""
    return share(number_in(measurements, name))


def count_in(measurements: Measurements, name: str) -> str:
    """Return a number as a count: `1,024`."""
    return count(number_in(measurements, name))
