"""Runs side by side: streams matched by name, values, differences, ratios to the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import product
from typing import Literal

from control_plane.analysis.differences import (
    Difference,
    environment_differences,
    known_same_code,
    machine_mismatch,
    measured_elsewhere,
    spec_fields,
)
from control_plane.analysis.run_labels import (
    RunLabel,
    called_by_pins,
    configuration_names,
    label_runs,
    rename_stream,
    runs_with_result,
    single_stream_names,
)
from control_plane.domain.metrics_and_objectives import METRICS, Metric, Unit
from control_plane.domain.result import Reason, Summary, ValidityOutcome
from control_plane.domain.run import DeletedRun, Run, State
from control_plane.domain.times_and_percentiles import (
    AT_LEAST,
    NO_ANSWER,
    PERCENTILES,
    Times,
    bounded,
    lost,
    percentile_level,
)
from control_plane.domain.units import WRITTEN, number_of

Trust = Literal["full", "greyed", "void", "hidden"]
"""How far a number may be believed: void in an invalid run, else by the samples beyond it."""

PRIMARY = "throughput_per_s"
"""The metric that makes the sentence."""


@dataclass(frozen=True)
class Refusal:
    """Why a run gets no ratio: another machine, an invalid side. The text names both values.

    `elsewhere`: another Looplab measured it, on another machine: it gets none in any case.
    """

    kind: Literal["machine", "invalid", "elsewhere"]
    text: str


@dataclass(frozen=True)
class IntervalVerdict:
    """What is said of a metric with an interval: the ratio with its 95 % and 90 % intervals.

    `method`: over sessions of both specs, so many of either, the newest; or over the blocks of the
    experiment that both are arms of, then `sessions` counts those. `family`: of so many runs
    intervals hold at once. `role`: exploratory in all but the metric and stream that decide.
    """

    verdict: str
    ratio: float
    low: float
    high: float
    low_90: float
    high_90: float
    sessions: int
    family: int
    role: Literal["primary", "guardrail", "exploratory"]
    method: Literal["sessions", "blocks"] = "sessions"

    @property
    def over(self) -> str:
        """Return what it stands on: `over 3 sessions of each`, `over 6 blocks`."""
        if self.method == "blocks":
            return f"over {number_of(self.sessions, 'block')}"
        return f"over {number_of(self.sessions, 'session')} of each"


@dataclass(frozen=True)
class Interleaved:
    """The experiment that all runs are arms of: their numbers are means over its `blocks`.

    Those `set_aside` do not count. `undecided`: the reason where it has no verdict; else "".
    """

    experiment: str
    blocks: int
    set_aside: int
    undecided: str


@dataclass(frozen=True)
class MetricComparison:
    """One metric of one stream. By run id: the value, and contender over baseline.

    A ratio is None where a side is missing, zero, a bound, invalid, unfinished or not comparable,
    and for shares of errors, which are compared by difference. `verdicts` has those runs alone of
    whose specs there are sessions enough. `less_is_better` None: neither is. The values of the runs
    `at_least` are lower bounds; for those of `unanswered` there is none: too many requests had no
    answer. `trust`: how far each value may be believed.
    """

    stream: str
    metric: str
    unit: Unit
    less_is_better: bool | None
    values: Mapping[str, float | None]
    ratios: Mapping[str, float | None]
    verdicts: Mapping[str, IntervalVerdict] = field(default_factory=dict)
    at_least: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    trust: Mapping[str, Trust] = field(default_factory=dict)

    def text(self, run_id: str) -> str:
        """Return a value as it is written: `1.20 ms`, `≥ 2.00 s`, `no answer`; a dash for none."""
        if run_id in self.unanswered:
            return NO_ANSWER
        sign = AT_LEAST if run_id in self.at_least else ""
        return f"{sign}{WRITTEN[self.unit](self.values[run_id])}"


@dataclass(frozen=True)
class Comparison:
    """One to twelve runs in the order of the URL.

    `measured_runs` are the runs as they were measured. Where the only stream of each has another
    name, all are called as the baseline's in `runs`, and `own_names` has the names of those streams
    by run id; else it is empty. Runs without a result that have several keep them. `fields`
    are those of the spec, the same or not; `environment` are facts of the machines that differ.
    `refusals` by run id; for the machine of those `apart` nothing of them is set against the
    baseline, ratio or difference. It stands without the runs that were `deleted`. `sessions`: how
    many there are of the spec of each run, where that was looked for. `interleaved`: the
    experiment that they all are arms of, once it is over.
    """

    baseline: str
    measured_runs: tuple[Run, ...]
    runs: tuple[Run, ...]
    own_names: Mapping[str, str]
    labels: tuple[RunLabel, ...]
    fields: tuple[Difference, ...]
    environment: tuple[Difference, ...]
    rows: tuple[MetricComparison, ...]
    refusals: Mapping[str, Refusal]
    apart: frozenset[str] = frozenset()
    deleted: tuple[DeletedRun, ...] = ()
    sessions: Mapping[str, int] = field(default_factory=dict)
    interleaved: Interleaved | None = None

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """The fields of the spec that differ."""
        return tuple(field for field in self.fields if field.differs)

    @property
    def same_fields(self) -> int:
        """How many fields of the spec do not."""
        return len(self.fields) - len(self.differences)

    @property
    def streams(self) -> tuple[str, ...]:
        """Return the names of all streams, the baseline's first."""
        return tuple(dict.fromkeys(row.stream for row in self.rows))

    @property
    def configurations(self) -> tuple[str, ...]:
        """Return the name of each configuration, as `configuration_names` does."""
        pairs = zip(self.labels, self.runs, strict=True)
        return configuration_names(
            [(label.letter, run.configuration, run.spec.target) for label, run in pairs]
        )

    @property
    def clients_differ(self) -> bool:
        """Whether the runs were measured by different clients."""
        return len({run.spec.client for run in self.runs}) > 1

    @property
    def same_code(self) -> bool:
        """Whether the code that served is known to be the same in all runs with a result."""
        return known_same_code(runs_with_result(self.runs))

    def doubts(self, run: Run) -> tuple[Reason, ...]:
        """Return the gates that fired, the worst first.

        Where clients are compared, that one of them is at its limit is what the comparison is about
        and no reason to doubt it.
        """
        fired = run.validity.reasons if run.validity else ()
        expected = {"client_cpu"} if self.clients_differ else set()
        return tuple(reason for reason in fired if reason.gate not in expected)

    def outcome(self, run: Run) -> ValidityOutcome | None:
        """Return the validity of the run in this comparison: valid where no doubt is left."""
        if run.validity is None or (run.validity.reasons and not self.doubts(run)):
            return "valid" if run.validity else None
        return run.validity.outcome

    def run(self, run_id: str) -> Run:
        """Return a run, its only stream under the common name."""
        return self._by_id[run_id][0]

    def label(self, run_id: str) -> RunLabel:
        """Return what a run is called here."""
        return self._by_id[run_id][1]

    def called(self, pins: Mapping[str, str]) -> "Comparison":
        """Return it with pinned runs called by their pins, which are names by run id.

        Arms of one experiment keep the names that they have in it.
        """
        if self.interleaved:
            return self
        return replace(self, labels=called_by_pins(self.labels, pins))

    def row(self, stream: str, metric: str) -> MetricComparison:
        """Return one metric of one stream."""
        return self._rows_by_name[stream, metric]

    @cached_property
    def _by_id(self) -> dict[str, tuple[Run, RunLabel]]:
        pairs = zip(self.runs, self.labels, strict=True)
        return {run.id: (run, label) for run, label in pairs}

    def begins_early(self, stream: str) -> bool:
        """Return whether answers of any run begin so long before their end that both are shown."""
        found = (stream_of(run, stream) for run in self.runs)
        return any(summary.begins_early for summary in found if summary)

    @cached_property
    def _rows_by_name(self) -> dict[tuple[str, str], MetricComparison]:
        return {(row.stream, row.metric): row for row in self.rows}


def compare(
    runs: Sequence[Run],
    baseline: str,
    *,
    anyway: bool = False,
    deleted: Sequence[DeletedRun] = (),
    places: Sequence[int] = (),
) -> Comparison:
    """Set each run against the baseline, which is the id of one of them.

    Streams are matched by name, or because each run has only one. `anyway` gives ratios in spite of
    refusals, but for what another Looplab measured elsewhere.
    """
    own_names = single_stream_names(runs)
    compared = _under_common_name(runs, own_names, baseline)
    base = next(run for run in compared if run.id == baseline)
    others = {run.id: other for run in compared if (other := _other_machine(base, run))}
    refusals = _refusals(compared, others)
    stay = () if anyway else tuple(refusals)
    apart = {name for name, other in others.items() if name in stay or other.kind == "elsewhere"}
    silent = apart.union(stay, (run.id for run in compared if run.state is not State.FINISHED))
    streams = (run.spec.workload.streams for run in runs_with_result((base, *compared)))
    names = dict.fromkeys(stream.name for several in streams for stream in several)
    return Comparison(
        baseline=baseline,
        measured_runs=tuple(runs),
        runs=compared,
        own_names=own_names,
        labels=label_runs(compared, places),
        fields=spec_fields(runs, own_names),
        environment=environment_differences(compared),
        rows=tuple(
            _row(base, compared, name, metric, silent)
            for name, metric in product(names, METRICS)
            if _is_measured(metric, compared)
        ),
        refusals=refusals,
        apart=frozenset(apart),
        deleted=tuple(deleted),
    )


def _is_measured(metric: Metric, runs: Sequence[Run]) -> bool:
    """Whether any run can have the metric: those of before have no time to first byte."""
    times, _, part = metric.name.partition(".")
    measured = (stream for run in runs for stream in run.streams)
    return part == "" or times != "first_byte_time_s" or any(stream.begun for stream in measured)


def _under_common_name(
    runs: Sequence[Run], own_names: Mapping[str, str], baseline: str
) -> tuple[Run, ...]:
    """Return the runs, the only stream of each called as the baseline's where names differ."""
    if not own_names:
        return tuple(runs)
    name = own_names.get(baseline) or next(iter(own_names.values()))
    return tuple(rename_stream(run, name) if run.id in own_names else run for run in runs)


def value_of(summary: Summary | None, metric: str) -> float | None:
    """Return the value of `throughput_per_s`, `service_time_s.p99` and so on.

    None where there is none.
    """
    name, part = _parts(metric)
    whole = getattr(summary, name, None)
    value: float | None = getattr(whole, part, None) if part else whole
    return value


@cache
def _parts(metric: str) -> tuple[str, str]:
    name, _, part = metric.partition(".")
    return name, part


def stream_of(run: Run, name: str) -> Summary | None:
    """Return the stream of that name, merged over the trials; None where the run has none."""
    return next((stream for stream in run.streams if stream.name == name), None)


def invalid(run: Run) -> bool:
    """Whether the numbers of a run may not be believed."""
    return run.validity is not None and run.validity.outcome == "invalid"


def _row(
    base: Run, runs: Sequence[Run], stream: str, metric: Metric, silent: set[str]
) -> MetricComparison:
    values = {run.id: value_of(stream_of(run, stream), metric.name) for run in runs}
    baseline = values[base.id]
    comparable = {
        run.id for run in runs if not silent & {run.id, base.id} and _comparable(base, run, metric)
    }
    times, _, part = metric.name.partition(".")
    known = {run.id: getattr(stream_of(run, stream), times, None) for run in runs} if part else {}
    at_least = tuple(run_id for run_id, of_run in known.items() if bounded(of_run, part))
    if base.id in at_least:
        comparable = set()
    ratios = {
        run_id: value / baseline
        if run_id in comparable and run_id not in at_least and baseline and value
        else None
        for run_id, value in values.items()
    }
    return MetricComparison(
        stream,
        metric.name,
        metric.unit,
        metric.less_is_better,
        values,
        ratios,
        at_least=at_least,
        unanswered=tuple(run_id for run_id, of_run in known.items() if lost(of_run, part)),
        trust={run.id: _trust(run, known.get(run.id), part) for run in runs},
    )


def _trust(run: Run, times: Times | None, part: str) -> Trust:
    level = percentile_level(times, part) if times and part in PERCENTILES else "full"
    return "void" if level != "hidden" and invalid(run) else level


def _comparable(base: Run, run: Run, metric: Metric) -> bool:
    """Whether the metric may have a ratio.

    Durations are summed over trials, so they need as many; shares of errors have no ratio.
    """
    if metric.name == "duration_s":
        return len(base.trials) == len(run.trials)
    return metric.unit != "share"


def _refusals(runs: Sequence[Run], others: Mapping[str, Refusal]) -> dict[str, Refusal]:
    """Return why runs with a result get no ratio, by run id: they are invalid, or were measured on
    another machine than the baseline, as those of `others`.
    """
    refusals = {}
    for run in runs:
        if run.id in others:
            refusals[run.id] = others[run.id]
        if invalid(run) and run.validity is not None and not run.resultless:
            reasons = (reason for reason in run.validity.reasons if reason.level == "invalid")
            refusals[run.id] = Refusal("invalid", " ".join(reason.text for reason in reasons))
    return refusals


def _other_machine(base: Run, run: Run) -> Refusal | None:
    """Return how the machines differ; None for one, and where a run was measured nowhere."""
    if base.resultless or run.resultless:
        return None
    finished = base.state is run.state is State.FINISHED
    if elsewhere := measured_elsewhere(base, run) if finished else None:
        return Refusal("elsewhere", elsewhere)
    mismatch = machine_mismatch(base.environment, run.environment)
    return Refusal("machine", mismatch) if mismatch else None
