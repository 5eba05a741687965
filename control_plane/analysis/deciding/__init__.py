"""What the trials of runs say of a metric, and whether that meets what was asked before."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from math import isnan, nan

import numpy as np
from numpy.typing import NDArray

from control_plane.analysis.comparison import value_of
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
)
from control_plane.analysis.deciding.verdicts import (
    FIXED,
    FailedShare,
    NoVerdictReason,
    judge_objective,
    machine_moved,
    share_interval,
)
from control_plane.analysis.differences import CHANGED_IN_PAUSE
from control_plane.analysis.validity.judged_run import judge
from control_plane.domain.experiment import ExperimentDesign
from control_plane.domain.metrics_and_objectives import (
    ERROR_SHARE,
    JUDGED_METRIC,
    JudgedObjective,
    Metric,
    Objective,
    ObjectiveOutcome,
)
from control_plane.domain.result import Summary, Trial, Validity
from control_plane.domain.run import Run, State
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
        return nan if trial is None else None
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
    sides: Sequence[Run | None],
    control: Effect | None,
    design: ExperimentDesign,
    arms: Sequence[Run | None] = (),
) -> NoVerdictReason | None:
    """Return why nothing is said of these sides, however their numbers differ; None to say it.

    `arms`: all runs, of which the last was to show whether the machine moved, in a design with a
    control; none for what stands alone.
    """
    for run in sides:
        if run is None:
            return "deleted_side"
        if run.state is State.FAILED:
            return "failed_side"
        if run.trials and validity_so_far(run).outcome == "invalid":
            return "invalid_side"
        if run.environment and run.environment.get(CHANGED_IN_PAUSE):
            return "changed_in_pause"
    if design.control and arms and arms[-1] is None:
        return "control_gone"
    return "machine_moved" if machine_moved(control, design.margin) else None


def validity_so_far(run: Run) -> Validity:
    """Return what a run is worth, by the trials that it has where it is not over."""
    if run.validity is not None:
        return run.validity
    return judge(run.trials, run.trials[0].streams, run.spec) if run.trials else Validity(None)
