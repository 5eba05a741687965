"""What the trials of an experiment say: each metric of each contender, judged after a look."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from control_plane.analysis.comparison import invalid, value_of
from control_plane.analysis.deciding.effects import Effect, contender_effects, log_values
from control_plane.analysis.deciding.error_shares import FailedShare, share_difference
from control_plane.analysis.deciding.trial_order import is_whole
from control_plane.analysis.deciding.verdicts import (
    FIRST_LOOK,
    FIXED,
    GuardrailOutcome,
    Verdict,
    decide,
    guard,
    levels_of_look,
    withheld,
)
from control_plane.domain.experiment import Experiment
from control_plane.domain.metrics import METRICS, Metric
from control_plane.domain.result import Summary, Trial
from control_plane.domain.run import Run, State
from control_plane.domain.times_and_percentiles import PERCENTILES, bounded, percentile_level

Role = Literal["primary", "guardrail", "exploratory"]

ERROR_MARGIN = 0.001
"""The share of errors, 0.1 percentage points, by which a contender may be worse."""


@dataclass(frozen=True)
class JudgedMetric:
    """One metric of one contender against the baseline.

    `held` is None but for a guardrail. `values` are the mean of the trials of baseline and
    contender; None where a trial has none.
    """

    metric: Metric
    role: Role
    contender: str
    verdict: Verdict
    values: tuple[float | None, float | None]
    held: GuardrailOutcome | None = None
    margin: float = 0.0


@dataclass(frozen=True)
class JudgedExperiment:
    """An experiment as far as it is: `blocks` are complete; `runs` in the order of the arms."""

    experiment: Experiment
    runs: tuple[Run | None, ...]
    state: State
    blocks: int
    metrics: tuple[JudgedMetric, ...]

    @property
    def primary(self) -> tuple[JudgedMetric, ...]:
        """The metric that decides, of each contender."""
        return tuple(judged for judged in self.metrics if judged.role == "primary")

    @property
    def broken(self) -> tuple[JudgedMetric, ...]:
        """The guardrails that are broken."""
        return tuple(judged for judged in self.metrics if judged.held == "broken")

    @property
    def whole(self) -> bool:
        """Whether every arm stood at each place of a block equally often."""
        return is_whole(len(self.runs), self.blocks)


def judge_experiment(experiment: Experiment, runs: Sequence[Run | None]) -> JudgedExperiment:
    """Return what the trials say; `runs` in the order of the arms, None for a deleted one."""
    blocks = complete_blocks(runs)
    metrics = [
        judged
        for metric in METRICS
        if metric.less_is_better is not None
        for judged in _judged(experiment, runs, metric, blocks)
    ]
    metrics.sort(key=lambda judged: ("primary", "guardrail", "exploratory").index(judged.role))
    return JudgedExperiment(experiment, tuple(runs), _state(runs), len(blocks), tuple(metrics))


def complete_blocks(runs: Sequence[Run | None]) -> list[int]:
    """Return the blocks that have a trial of every arm that left one."""
    trials = [{trial.block for trial in run.trials} for run in runs if run and run.trials]
    return sorted(set.intersection(*trials)) if trials else []


_UNDECIDED = (State.QUEUED, State.STARTING, State.WARMING, State.RUNNING, State.FINALIZING)


def _state(runs: Sequence[Run | None]) -> State:
    """Return running as long as an arm is, finished where one finished, else how they ended."""
    states = [run.state for run in runs if run is not None]
    if not states:
        return State.CANCELLED
    if any(state in _UNDECIDED for state in states):
        return State.QUEUED if set(states) == {State.QUEUED} else State.RUNNING
    ends = (State.FINISHED, State.CANCELLED, State.INTERRUPTED, State.FAILED)
    return next(state for state in ends if state in states)


def _judged(
    experiment: Experiment, runs: Sequence[Run | None], metric: Metric, blocks: Sequence[int]
) -> list[JudgedMetric]:
    values = [
        [_value(experiment.design.stream, run, block, metric) for block in blocks] for run in runs
    ]
    means = [_mean(of_arm) for of_arm in values]
    if not any(mean is not None for mean in means):
        return []
    guardrail = next((g for g in experiment.design.guardrails if g.metric == metric.name), None)
    role: Role = "primary" if metric.name == experiment.design.metric else "exploratory"
    if role == "exploratory" and (guardrail or metric.name == "error_share"):
        role = "guardrail"
    margin = guardrail.margin if guardrail else experiment.design.margin
    design = experiment.design
    levels = levels_of_look(len(blocks), design.blocks)
    less = bool(metric.less_is_better)
    found = []
    for place, effect in enumerate(_effects(values), start=1):
        sides = (runs[0], runs[place])
        if metric.name == "error_share":
            verdict, held = Verdict("no_verdict"), _guarded_errors(design.stream, sides, blocks)
        else:
            verdict = decide(effect, less_is_better=less, margin=design.margin, levels=levels)
            held = guard(effect, margin, less_is_better=less, levels=levels)
        if any(run is None or invalid(run) for run in sides):
            verdict = withheld(verdict, "invalid_side")
        found.append(
            JudgedMetric(
                metric,
                role,
                experiment.arms[place].name,
                verdict,
                (means[0], means[place]),
                held if role == "guardrail" else None,
                margin,
            )
        )
    return found


def _effects(values: Sequence[Sequence[float | None]]) -> list[Effect | None]:
    """Return the effect of each contender; None where it or the baseline lacks a number."""
    logs = log_values(values)
    if logs.shape[1] < FIRST_LOOK or np.isnan(logs[0]).any():
        return [None] * (len(values) - 1)
    able = [0, *(place for place in range(1, len(values)) if not np.isnan(logs[place]).any())]
    chosen: NDArray[np.float64] = logs[able]
    found = dict(zip(able[1:], contender_effects(chosen), strict=True)) if able[1:] else {}
    return [found.get(place) for place in range(1, len(values))]


def _guarded_errors(
    stream: str, sides: Sequence[Run | None], blocks: Sequence[int]
) -> GuardrailOutcome:
    """Return whether a contender fails more often by more than the margin."""
    if len(blocks) < FIRST_LOOK:
        return "undecided"
    baseline, contender = (_failed(stream, run, blocks) for run in sides)
    within = share_difference(baseline, contender, FIXED.for_90)
    if within.high <= ERROR_MARGIN:
        return "held"
    return "broken" if within.low > ERROR_MARGIN else "undecided"


def _failed(stream: str, run: Run | None, blocks: Sequence[int]) -> FailedShare:
    found = [_stream(stream, run, block) for block in blocks]
    known = [summary for summary in found if summary is not None]
    failed = tuple(sum(summary.errors.values()) for summary in known)
    completed = [summary.completed for summary in known]
    return FailedShare(failed, tuple(map(sum, zip(completed, failed, strict=True))))


def _value(stream: str, run: Run | None, block: int, metric: Metric) -> float | None:
    """Return the number of one trial; None where it is a bound, or too few samples say it."""
    summary = _stream(stream, run, block)
    times, _, part = metric.name.partition(".")
    known = getattr(summary, times, None) if part else None
    if part in PERCENTILES and percentile_level(known, part) == "hidden":
        return None
    return None if bounded(known, part) else value_of(summary, metric.name)


def _stream(stream: str, run: Run | None, block: int) -> Summary | None:
    """Return one stream of one trial; of the first where no name is given."""
    trial = _trial(run, block)
    streams = trial.streams if trial else ()
    return next((summary for summary in streams if stream in {"", summary.name}), None)


def _trial(run: Run | None, block: int) -> Trial | None:
    trials = run.trials if run else ()
    return next((trial for trial in trials if trial.block == block), None)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
