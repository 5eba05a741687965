"""What trials say of a metric: whether that meets what was asked before, and what sessions decide.

Sessions are runs that were not interleaved. What differs between two runs is also what the machine
did between them. How much that is, only sessions of one spec can tell that lie apart.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from math import isfinite, isnan, nan
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from control_plane.analysis.comparison import (
    PRIMARY,
    Comparison,
    MetricComparison,
    SessionVerdict,
    value_of,
)
from control_plane.analysis.deciding.effects import (
    LEAST_BLOCKS,
    Effect,
    Interval,
    VariancePrior,
    contender_effects,
    geometric_mean,
    log_values,
    mean_interval,
    paired_effect,
    session_effect,
)
from control_plane.analysis.deciding.verdicts import (
    FIXED,
    FailedShare,
    NoVerdictReason,
    decide,
    judge_objective,
    machine_moved,
    share_interval,
)
from control_plane.analysis.differences import CHANGED_IN_PAUSE, same_environment
from control_plane.analysis.validity.gates import judge
from control_plane.domain.experiment import ERROR_SHARE
from control_plane.domain.metrics_and_objectives import (
    DEFAULT_MARGIN,
    JUDGED_METRIC,
    METRIC,
    JudgedObjective,
    Metric,
    Objective,
    ObjectiveOutcome,
)
from control_plane.domain.result import Summary, Trial, Validity
from control_plane.domain.run import Run, RunOfSpec, State
from control_plane.domain.times_and_percentiles import PERCENTILES, bounded, percentile_level

Measured = tuple[float, Interval]
"""The value of a metric over trials, and the interval that it lies in."""


def judged_objective(
    objective: Objective, trials: Sequence[Trial], *, valid: bool, level: float = FIXED.for_95
) -> JudgedObjective:
    """Return an objective with its outcome: passed or failed where the whole interval says so.

    No failure at all, which `at_most: 0` asks for, is counted and not estimated. What is not valid
    passes nothing.
    """
    asked = JudgedObjective(
        metric=objective.metric,
        stream=objective.stream,
        at_most=objective.at_most,
        at_least=objective.at_least,
        outcome="undecided",
    )
    if objective.metric == ERROR_SHARE and objective.at_most == 0 and trials:
        share = failed_share(objective.stream, trials).share
        counted: ObjectiveOutcome = "failed" if share else "passed" if valid else "undecided"
        return replace(asked, outcome=counted, value=share)
    found = measured_value(objective.stream, trials, JUDGED_METRIC[objective.metric], level)
    if found is None:
        few = len(trials) < LEAST_BLOCKS
        return replace(asked, reason="too_few_trials" if few else "no_number")
    value, interval = found
    known = replace(asked, value=value, low=interval.low, high=interval.high)
    if not valid:
        return replace(known, reason="invalid")
    outcome = judge_objective(interval, at_most=objective.at_most, at_least=objective.at_least)
    return replace(known, outcome=outcome)


def measured_value(
    stream: str, trials: Sequence[Trial], metric: Metric, level: float
) -> Measured | None:
    """Return what a metric is over trials, with its interval; None where one has no number."""
    if len(trials) < LEAST_BLOCKS or not level:
        return None
    if metric.name == ERROR_SHARE:
        failed = failed_share(stream, trials)
        return failed.share, share_interval(failed, level)
    values = [trial_value(stream, trial, metric) for trial in trials]
    return None if None in values else mean_interval(log_values([values])[0], level)


def trial_value(stream: str, trial: Trial | None, metric: Metric) -> float | None:
    """Return the number of one trial; None where it is a bound, or too few samples say it.

    NaN where there is no trial: the block leaves the pairs of this arm.
    """
    summary = summary_of(stream, trial)
    if summary is None:
        return nan
    times, _, part = metric.name.partition(".")
    known = getattr(summary, times, None) if part else None
    if part in PERCENTILES and percentile_level(known, part) == "hidden":
        return None
    value = None if bounded(known, part) else value_of(summary, metric.name)
    return None if value == 0 and metric.unit != "share" else value


def failed_share(stream: str, trials: Sequence[Trial]) -> FailedShare:
    """Return how many requests of each trial failed, got no answer or were never sent."""
    known = [summary for trial in trials if (summary := summary_of(stream, trial)) is not None]
    return FailedShare(
        tuple(summary.failed for summary in known),
        tuple(summary.failed + summary.completed for summary in known),
    )


def summary_of(stream: str, trial: Trial | None) -> Summary | None:
    """Return one stream of one trial; the first where no name is given."""
    streams = trial.streams if trial else ()
    return next((summary for summary in streams if stream in {"", summary.name}), None)


def complete_blocks(runs: Sequence[Run | None]) -> list[int]:
    """Return the blocks that have a trial of the baseline and of every arm that did not fail."""
    kept = [
        run
        for place, run in enumerate(runs)
        if run and (not place or run.state is not State.FAILED)
    ]
    trials = [{trial.block for trial in run.trials} for run in kept]
    return sorted(set.intersection(*trials)) if trials else []


def metric_table(
    runs: Sequence[Run | None], stream: str, metric: Metric, blocks: Sequence[int]
) -> list[list[float | None]]:
    """Return the numbers of one metric, shape (arms, blocks)."""
    return [[trial_value(stream, trial_of(run, block), metric) for block in blocks] for run in runs]


def trials_of(run: Run | None, blocks: Sequence[int]) -> list[Trial]:
    """Return the trials of a run in these blocks, as far as there are."""
    return [trial for block in blocks if (trial := trial_of(run, block)) is not None]


def trial_of(run: Run | None, block: int) -> Trial | None:
    """Return the trial of a run in a block; None where there is none."""
    trials = run.trials if run else ()
    return next((trial for trial in trials if trial.block == block), None)


def arm_effects(
    values: Sequence[Sequence[float | None]],
    prior: VariancePrior | None,
    *,
    control: bool,
    family: int,
    places: NDArray[np.float64] | None = None,
) -> tuple[Effect | None, ...]:
    """Return the effect of each arm but the baseline, the negative control's last.

    None where it or the baseline has a trial without a number. `places` as for effects.
    """
    able = [place for place, row in enumerate(values) if None not in row]
    found: dict[int, Effect | None] = {}
    if 0 in able and len(able) > 1 and values[0]:
        has_control = control and able[-1] == len(values) - 1
        chosen = log_values([values[place] for place in able])
        at = None if places is None else places[able]
        if has_control and len(able) == 2:
            apart = None if at is None else at[1] - at[0]
            effects: tuple[Effect | None, ...] = (
                paired_effect(chosen[0], chosen[1], prior, apart),
            )
        else:
            effects = contender_effects(
                chosen, prior, control=has_control, family=family, places=at
            )
        found = dict(zip(able[1:], effects, strict=True))
    return tuple(found.get(place) for place in range(1, len(values)))


def both_means(
    baseline: Sequence[float | None], contender: Sequence[float | None]
) -> tuple[float | None, float | None]:
    """Return the geometric means over the blocks that both have, whose ratio is the effect."""
    pairs = [
        pair
        for pair in zip(baseline, contender, strict=True)
        if not any(value is not None and isnan(value) for value in pair)
    ]
    sides = zip(*pairs, strict=True) if pairs else (baseline, contender)
    first, second = map(geometric_mean, sides)
    return first, second


def without_blocks(run: Run | None, blocks: Collection[int]) -> Run | None:
    """Return a run as it is without the trials of these blocks, judged anew where it was judged."""
    if run is None or not blocks or not any(trial.block in blocks for trial in run.trials):
        return run
    trials = tuple(trial for trial in run.trials if trial.block not in blocks)
    validity = judge(trials, trials[0].streams if trials else (), run.spec)
    return replace(run, trials=trials, validity=validity if run.validity else None)


def why_no_verdict(
    sides: Sequence[Run | None], control: Effect | None, margin: float
) -> NoVerdictReason | None:
    """Return why nothing is said of these sides, however their numbers differ; None to say it."""
    for run in sides:
        if run is None:
            return "deleted_side"
        if run.state is State.FAILED:
            return "failed_side"
        if run.trials and validity_so_far(run).outcome == "invalid":
            return "invalid_side"
        if run.environment and run.environment.get(CHANGED_IN_PAUSE):
            return "changed_in_pause"
    return "machine_moved" if machine_moved(control, margin) else None


def validity_so_far(run: Run) -> Validity:
    """Return what a run is worth, by the trials that it has where it is not over."""
    if run.validity is not None:
        return run.validity
    return judge(run.trials, run.trials[0].streams, run.spec) if run.trials else Validity(None)


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
) -> SessionVerdict | None:
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
    if effect is None or verdict.within_95 is None or verdict.within_90 is None:
        return None
    return SessionVerdict(
        verdict=verdict.finding,
        ratio=effect.ratio,
        low=verdict.within_95.low,
        high=verdict.within_95.high,
        low_90=verdict.within_90.low,
        high_90=verdict.within_90.high,
        sessions=effect.blocks,
        family=family,
        role="exploratory",
    )


def _values(metric: Metric, stream: str, sessions: SessionTrials) -> list[float] | None:
    """Return ln of the metric of each session, a mean over trials; None where one lacks it."""
    rows = [[trial_value(stream, trial, metric) for trial in session] for session in sessions]
    means = [float(log_values([row])[0].mean()) if row else nan for row in rows]
    return means if all(map(isfinite, means)) else None
