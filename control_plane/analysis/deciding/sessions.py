"""What decides a comparison: sessions, or the blocks of the experiment that all runs are arms of.

Where runs were not interleaved, what differs between two of them is also what the machine did
between them. How much that is, only sessions of one spec can tell that lie apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from math import isfinite, nan
from typing import Any, Literal, Protocol

from control_plane.analysis.comparison import (
    PRIMARY,
    Comparison,
    Interleaved,
    IntervalVerdict,
    MetricComparison,
)
from control_plane.analysis.deciding import complete_blocks, trial_value, trials_of
from control_plane.analysis.deciding.effects import (
    LEAST_BLOCKS,
    geometric_mean,
    log_values,
    session_effect,
)
from control_plane.analysis.deciding.judged_experiment import JudgedExperiment, JudgedMetric, Role
from control_plane.analysis.deciding.verdicts import Verdict, decide
from control_plane.analysis.differences import same_environment
from control_plane.domain.metrics_and_objectives import DEFAULT_MARGIN, METRIC, METRICS, Metric
from control_plane.domain.result import Summary, Trial
from control_plane.domain.run import Run, RunOfSpec, State

APART = timedelta(minutes=10)
"""A run that begins sooner after another belongs to its session."""

Sessions = Sequence[Sequence[RunOfSpec]]
SessionTrials = Sequence[Sequence[Trial]]
"""The trials of each session."""


class KnownRuns(Protocol):
    """The runs that are stored."""

    def repeats(self, run_ids: Sequence[str]) -> Mapping[str, Sequence[RunOfSpec]]:
        """Return the runs of the spec of each run."""
        ...

    def trials_of_runs(self, run_ids: Sequence[str]) -> Mapping[str, Sequence[Trial]]:
        """Return the trials of each run."""
        ...


def with_sessions(comparison: Comparison, known: KnownRuns) -> Comparison:
    """Return the comparison with what sessions decide, and how many there are of each spec.

    Intervals of a metric hold for all of its
    verdicts at once; throughput of the first stream with a ratio decides. Nothing is
    decided as long as a run is not over, and of a side that has no ratio: refused, or without a
    result.
    """
    able = [
        run
        for run in comparison.runs
        if run.state is State.FINISHED and run.id not in comparison.refusals
    ]
    ids = [run.id for run in able]
    waits = any(not run.state.terminal for run in comparison.runs)
    if waits or comparison.baseline not in ids or len(able) < 2:
        return comparison
    repeats = known.repeats(ids)
    found = {run.id: sessions_of(run, repeats.get(run.id, ())) for run in able}
    counts = {run_id: len(sessions) for run_id, sessions in found.items()}
    base = comparison.run(comparison.baseline)
    enough = [run for run in able if counts[run.id] >= LEAST_BLOCKS]
    others = [run.id for run in enough if not _alike(base, run, repeats)]
    if not others or base not in enough:
        return replace(comparison, sessions=counts)
    trials = _trials_of({run_id: found[run_id] for run_id in (base.id, *others)}, known)
    rows = tuple(_decided(comparison, row, trials) for row in comparison.rows)
    return replace(comparison, rows=rows, sessions=counts)


def _trials_of(found: Mapping[str, Sessions], known: KnownRuns) -> dict[str, SessionTrials]:
    runs = chain.from_iterable(chain.from_iterable(found.values()))
    trials = known.trials_of_runs(list({run.id for run in runs}))
    return {
        run_id: [[trial for run in session for trial in trials[run.id]] for session in sessions]
        for run_id, sessions in found.items()
    }


def sessions_of(run: Run, repeats: Sequence[RunOfSpec]) -> Sessions:
    """Return the runs of a spec in the environment of one of them, in sessions that lie apart."""
    alike = [each for each in repeats if same_environment(run.environment, each.environment)]
    sessions: list[list[RunOfSpec]] = []
    for each in sorted(alike, key=lambda each: each.begun_at):
        ended = sessions[-1][-1].finished_at if sessions else None
        if ended is not None and each.begun_at - ended < APART:
            sessions[-1].append(each)
        else:
            sessions.append([each])
    return sessions


def _alike(baseline: Run, run: Run, repeats: Mapping[str, Sequence[RunOfSpec]]) -> bool:
    """Return whether a run is of the spec and in the environment of the baseline.

    Runs of one spec have the same repeats, in which older ones are not.
    """
    known = {each.id for each in repeats.get(baseline.id, ())}
    same_spec = any(each.id in known for each in repeats.get(run.id, ()))
    return run.id == baseline.id or (
        same_spec and same_environment(baseline.environment, run.environment)
    )


def _decided(
    comparison: Comparison, row: MetricComparison, trials: Mapping[str, SessionTrials]
) -> MetricComparison:
    """Return a metric with a verdict on each run of `trials` but the baseline."""
    metric = METRIC[row.metric]
    if metric.less_is_better is None or metric.unit == "share":
        return row
    stream = _stream(comparison, row)
    values = {run_id: _values(metric, stream, sessions) for run_id, sessions in trials.items()}
    base, family = values.pop(comparison.baseline), len(trials) - 1
    verdicts = {
        run_id: replace(verdict, role="primary" if _decides(comparison, row) else "exploratory")
        for run_id, contender in values.items()
        if (verdict := _verdict(metric, base, contender, family))
    }
    return replace(row, verdicts=verdicts)


def _decides(comparison: Comparison, row: MetricComparison) -> bool:
    """Return whether it is throughput of the first stream in which a contender has a ratio."""
    contenders = [run.id for run in comparison.runs if run.id != comparison.baseline]
    rows = (comparison.row(stream, PRIMARY) for stream in comparison.streams)
    able = (each for each in rows if any(each.ratios.get(run_id) for run_id in contenders))
    first = next(able, None)
    return first is not None and (first.stream, first.metric) == (row.stream, row.metric)


def _stream(comparison: Comparison, row: MetricComparison) -> str:
    """Return the name of the stream in other runs of the spec; "" for the only one of each."""
    return "" if comparison.own_names else row.stream


def _verdict(
    metric: Metric,
    baseline: Sequence[float] | None,
    contender: Sequence[float] | None,
    family: int,
) -> IntervalVerdict | None:
    """Return what sessions say; None where there are too few, or one of them has no number."""
    if baseline is None or contender is None:
        return None
    effect = session_effect(baseline, contender, family)
    verdict = decide(
        effect,
        less_is_better=bool(metric.less_is_better),
        margin=DEFAULT_MARGIN,
        foresees=False,
    )
    return _with_interval(verdict, family, "exploratory", "sessions")


def _values(metric: Metric, stream: str, sessions: SessionTrials) -> list[float] | None:
    """Return ln of the metric of each session, a mean over trials; None where one lacks it."""
    rows = [[trial_value(stream, trial, metric) for trial in session] for session in sessions]
    means = [float(log_values([row])[0].mean()) if row else nan for row in rows]
    return means if all(map(isfinite, means)) else None


_SUMMED = "duration_s"
"""Of trials that are put together it is the sum, which no mean over blocks replaces."""


def arm_over_blocks(run: Run, judged: JudgedExperiment) -> Run:
    """Return an arm with the trials that its experiment judges, and their means as its numbers.

    A metric without a number in one of them, shares, counts and durations stay those of all
    requests; so does all where no block is complete.
    """
    kept = next((arm for arm in judged.runs if arm and arm.id == run.id), None)
    trials = trials_of(kept, complete_blocks(judged.runs))
    if kept is None or not trials:
        return run
    streams = tuple(_over_trials(stream, trials) for stream in run.streams)
    return replace(run, trials=tuple(trials), validity=kept.validity, streams=streams)


def _over_trials(stream: Summary, trials: Sequence[Trial]) -> Summary:
    whole: dict[str, Any] = {}
    parts: dict[str, dict[str, float]] = {}
    for metric in METRICS:
        if metric.unit == "share" or metric.name == _SUMMED:
            continue
        mean = geometric_mean([trial_value(stream.name, trial, metric) for trial in trials])
        times, _, part = metric.name.partition(".")
        if mean is not None:
            (parts.setdefault(times, {}) if part else whole)[part or times] = mean
    for name, means in parts.items():
        if times_of_all := getattr(stream, name):
            whole[name] = replace(times_of_all, **means)
    return replace(stream, **whole)


def with_blocks(comparison: Comparison, judged: JudgedExperiment) -> Comparison:
    """Return the comparison of arms, as `arm_over_blocks` has them, with what is decided of them.

    Intervals are against the baseline of the experiment alone.
    """
    ids = {arm.name: arm.run_id or "" for arm in judged.experiment.contenders}
    able = {run.id for run in comparison.runs} - comparison.refusals.keys()
    is_base = judged.experiment.arms[0].run_id == comparison.baseline
    stream = judged.experiment.design.stream or comparison.streams[0]
    found: dict[str, dict[str, IntervalVerdict]] = {}
    for metric in judged.metrics if is_base else ():
        if metric.metric.name == _SUMMED:
            continue
        run_id, verdict = ids[metric.contender], _verdict_over_blocks(metric)
        if verdict is not None and run_id in able:
            found.setdefault(metric.metric.name, {})[run_id] = verdict
    rows = tuple(
        _with_verdicts(row, found.get(row.metric, {}))
        if comparison.own_names or row.stream == stream
        else row
        for row in comparison.rows
    )
    reasons = [each.verdict.reason for each in judged.primary if ids[each.contender] in able]
    undecided = next(filter(None, reasons), "") if is_base else "other_baseline"
    aside = len(judged.spoiled)
    told = Interleaved(judged.experiment.id, judged.blocks, aside, undecided)
    return replace(comparison, rows=rows, interleaved=told)


def _with_verdicts(
    row: MetricComparison, verdicts: Mapping[str, IntervalVerdict]
) -> MetricComparison:
    known = {
        run_id: found.ratio for run_id, found in verdicts.items() if row.ratios[run_id] is not None
    }
    return replace(row, verdicts=verdicts, ratios={**row.ratios, **known})


def _verdict_over_blocks(judged: JudgedMetric) -> IntervalVerdict | None:
    """Return what an experiment says of one metric of a contender; None without a verdict."""
    verdict, effect = judged.verdict, judged.verdict.effect
    if effect is None or verdict.finding == "no_verdict":
        return None
    return _with_interval(verdict, effect.family, judged.role, "blocks")


def _with_interval(
    verdict: Verdict, family: int, role: Role, method: Literal["sessions", "blocks"]
) -> IntervalVerdict | None:
    """Return a verdict with its effect and intervals; None where it has none."""
    effect, within_95, within_90 = verdict.effect, verdict.within_95, verdict.within_90
    if effect is None or within_95 is None or within_90 is None:
        return None
    return IntervalVerdict(
        verdict=verdict.finding,
        ratio=effect.ratio,
        low=within_95.low,
        high=within_95.high,
        low_90=within_90.low,
        high_90=within_90.high,
        sessions=effect.blocks,
        family=family,
        role=role,
        method=method,
    )
