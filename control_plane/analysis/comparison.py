"""Runs side by side: their values, what differs between them, and ratios to the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from control_plane.analysis.configuration_names import configuration_names
from control_plane.analysis.differences import (
    Difference,
    environment_differences,
    machine_mismatch,
    spec_differences,
)
from control_plane.analysis.run_labels import RunLabel, label_runs
from control_plane.analysis.stream_matching import (
    rename_stream,
    runs_with_result,
    single_stream_names,
)
from control_plane.domain.metrics import METRICS, Metric, Unit
from control_plane.domain.result import Outcome, Reason, Summary
from control_plane.domain.run import Run, State

PRIMARY = "throughput_per_s"
"""The metric that makes the sentence."""


@dataclass(frozen=True)
class Refusal:
    """Why a run gets no ratio: another machine, an invalid side. The text names both values."""

    kind: Literal["machine", "invalid"]
    text: str


@dataclass(frozen=True)
class MetricComparison:
    """One metric of one stream. By run id: the value, and contender over baseline.

    A ratio is None where a side is missing, zero, invalid, unfinished or not comparable, and for
    shares of errors, which are compared by difference. `verdicts` stays empty without intervals.
    """

    stream: str
    metric: str
    unit: Unit
    less_is_better: bool
    values: Mapping[str, float | None]
    ratios: Mapping[str, float | None]
    verdicts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """One to twelve runs in the order of the URL.

    `given` are the runs as they were measured. Where the only stream of each has another name,
    all are called as the baseline's in `runs`, and `lone` has their own names by run id; else it
    is empty. Runs without a result that have several keep them. `differences` are fields of the
    spec, `environment` facts of the machines; `same_fields` counts the spec's other fields.
    `refusals` by run id.
    """

    baseline: str
    given: tuple[Run, ...]
    runs: tuple[Run, ...]
    lone: Mapping[str, str]
    labels: tuple[RunLabel, ...]
    differences: tuple[Difference, ...]
    environment: tuple[Difference, ...]
    same_fields: int
    rows: tuple[MetricComparison, ...]
    refusals: Mapping[str, Refusal]

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of all streams, the baseline's first."""
        return tuple(dict.fromkeys(row.stream for row in self.rows))

    @property
    def configurations(self) -> tuple[str, ...]:
        """Their names, with the run that has the same settings under another one."""
        pairs = zip(self.labels, self.runs, strict=True)
        return configuration_names(
            [(label.letter, run.configuration, run.spec.target) for label, run in pairs]
        )

    @property
    def clients_differ(self) -> bool:
        return len({run.spec.client for run in self.runs}) > 1

    def doubts(self, run: Run) -> tuple[Reason, ...]:
        """The gates that fired, worst first. Where clients are compared, that one is at its limit
        is what the comparison is about and no reason to doubt it.
        """
        fired = run.validity.reasons if run.validity else ()
        return tuple(one for one in fired if not (self.clients_differ and one.gate == "client_cpu"))

    def outcome(self, run: Run) -> Outcome | None:
        """That of the run, in this comparison."""
        if run.validity is None or (run.validity.reasons and not self.doubts(run)):
            return "valid" if run.validity else None
        return run.validity.outcome

    def run(self, run_id: str) -> Run:
        return self._runs[run_id]

    def label(self, run_id: str) -> RunLabel:
        return self._labels[run_id]

    def row(self, stream: str, metric: str) -> MetricComparison:
        return self._rows[stream, metric]

    @cached_property
    def _runs(self) -> dict[str, Run]:
        return {run.id: run for run in self.runs}

    @cached_property
    def _labels(self) -> dict[str, RunLabel]:
        return {label.id: label for label in self.labels}

    @cached_property
    def _rows(self) -> dict[tuple[str, str], MetricComparison]:
        return {(row.stream, row.metric): row for row in self.rows}


def compare(runs: Sequence[Run], baseline: str, *, anyway: bool = False) -> Comparison:
    """Streams are matched by name, or because each run has only one; runs without a result have no
    say in it. `anyway` gives ratios in spite of the refusals.

    `baseline` is the id of one of the runs.
    """
    differences, same = spec_differences(runs)
    given, lone = tuple(runs), single_stream_names(runs)
    if lone:
        name = lone.get(baseline) or next(iter(lone.values()))
        runs = [rename_stream(run, name) if run.id in lone else run for run in given]
    base = next(run for run in runs if run.id == baseline)
    refusals = _refusals(base, runs)
    silent = {run.id for run in runs if run.state is not State.FINISHED}
    if not anyway:
        silent |= refusals.keys()
    able = runs_with_result((base, *runs))
    names = dict.fromkeys(one.name for run in able for one in run.spec.workload.streams)
    return Comparison(
        baseline=baseline,
        given=given,
        runs=tuple(runs),
        lone=lone,
        labels=label_runs(runs),
        differences=differences,
        environment=environment_differences(runs),
        same_fields=same,
        rows=tuple(_row(base, runs, name, metric, silent) for name in names for metric in METRICS),
        refusals=refusals,
    )


def value_of(summary: Summary | None, metric: str) -> float | None:
    """The value of `throughput_per_s`, `service_time_s.p99` and so on; None where there is none."""
    name, _, part = metric.partition(".")
    value = getattr(summary, name, None)
    found: float | None = getattr(value, part, None) if part else value
    return found


def stream_of(run: Run, name: str) -> Summary | None:
    return next((one for one in run.streams if one.name == name), None)


def invalid(run: Run) -> bool:
    return run.validity is not None and run.validity.outcome == "invalid"


def _row(
    base: Run, runs: Sequence[Run], stream: str, metric: Metric, silent: set[str]
) -> MetricComparison:
    values = {run.id: value_of(stream_of(run, stream), metric.name) for run in runs}
    spoken = {
        run.id for run in runs if not silent & {run.id, base.id} and _alike(base, run, metric)
    }
    ratios = {
        run_id: _ratio(values[base.id], value) if run_id in spoken else None
        for run_id, value in values.items()
    }
    return MetricComparison(stream, metric.name, metric.unit, metric.less_is_better, values, ratios)


def _alike(base: Run, run: Run, metric: Metric) -> bool:
    """Durations are summed over trials, so they need as many; shares of errors have no ratio."""
    if metric.name == "duration_s":
        return len(base.trials) == len(run.trials)
    return metric.unit != "share"


def _ratio(baseline: float | None, contender: float | None) -> float | None:
    return contender / baseline if baseline and contender else None


def _refusals(base: Run, runs: Sequence[Run]) -> dict[str, Refusal]:
    """For each run with a result that is invalid, or measured on another machine than that of the
    baseline. A baseline without a result was measured nowhere.
    """
    found = {}
    there = None if base.resultless else base.environment
    for run in (one for one in runs if not one.resultless):
        other = machine_mismatch(there, run.environment)
        if invalid(run) and run.validity is not None:
            found[run.id] = Refusal("invalid", run.validity.reasons[0].text)
        elif other is not None:
            found[run.id] = Refusal("machine", other)
    return found
