"""What the trials of an experiment say: each metric of each contender, judged after a look."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Literal

from control_plane.analysis.comparison import value_of
from control_plane.analysis.deciding.effects import (
    Effect,
    contender_effects,
    log_values,
    paired_effect,
)
from control_plane.analysis.deciding.error_shares import FailedShare, share_difference
from control_plane.analysis.deciding.verdicts import (
    FIRST_LOOK,
    GuardrailOutcome,
    NoVerdictReason,
    Verdict,
    decide,
    guard,
    levels_of_look,
    machine_moved,
    withheld,
)
from control_plane.analysis.validity.gates import judge
from control_plane.domain.experiment import ERROR_SHARE, Experiment, ExperimentDesign, is_whole
from control_plane.domain.metrics import METRICS, Metric
from control_plane.domain.result import Summary, Trial, Validity
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
    """An experiment as far as it is: `blocks` are complete; `runs` in the order of the arms.

    `control`: the baseline against itself in the metric that decides; None without one.
    """

    experiment: Experiment
    runs: tuple[Run | None, ...]
    state: State
    blocks: int
    metrics: tuple[JudgedMetric, ...]
    control: Effect | None = None

    @property
    def moved(self) -> bool:
        """Whether the baseline differs from itself in the metric that decides."""
        return machine_moved(self.control, self.experiment.design.margin)

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
    measured = [
        _measured(experiment, runs, metric, blocks)
        for metric in METRICS
        if metric.less_is_better is not None
    ]
    judged = [each for found in measured for each in _judged(experiment, runs, found, blocks)]
    judged.sort(key=lambda each: ("primary", "guardrail", "exploratory").index(each.role))
    control = next(
        found.control for found in measured if found.metric.name == experiment.design.metric
    )
    return JudgedExperiment(
        experiment, tuple(runs), _state(runs), len(blocks), tuple(judged), control
    )


def complete_blocks(runs: Sequence[Run | None]) -> list[int]:
    """Return the blocks that have a trial of the baseline and of every arm that did not fail."""
    kept = [
        run
        for place, run in enumerate(runs)
        if run and (not place or run.state is not State.FAILED)
    ]
    trials = [{trial.block for trial in run.trials} for run in kept]
    return sorted(set.intersection(*trials)) if trials else []


_UNDECIDED: GuardrailOutcome = "undecided"


def _state(runs: Sequence[Run | None]) -> State:
    """Return paused, queued or running as long as an arm is not over, else how they ended.

    Finished where an arm is.
    """
    states = [run.state for run in runs if run is not None]
    if not states:
        return State.CANCELLED
    if left := {state for state in states if not state.terminal}:
        at_rest = (state for state in (State.PAUSED, State.QUEUED) if left == {state})
        return next(at_rest, State.RUNNING)
    ends = (State.FINISHED, State.CANCELLED, State.INTERRUPTED, State.FAILED)
    return next(state for state in ends if state in states)


@dataclass(frozen=True)
class _Measured:
    """One metric: means of the trials of each arm, effects of the contenders and of the control."""

    metric: Metric
    means: tuple[float | None, ...]
    effects: tuple[Effect | None, ...]
    control: Effect | None


def _measured(
    experiment: Experiment, runs: Sequence[Run | None], metric: Metric, blocks: Sequence[int]
) -> _Measured:
    stream = experiment.design.stream
    values = [[_value(stream, run, block, metric) for block in blocks] for run in runs]
    count = len(experiment.contenders)
    effects = _effects(values, control=experiment.design.control, family=count)
    control = effects[count] if experiment.design.control else None
    return _Measured(metric, tuple(map(_mean, values)), effects[:count], control)


def _judged(
    experiment: Experiment, runs: Sequence[Run | None], found: _Measured, blocks: Sequence[int]
) -> list[JudgedMetric]:
    design, metric = experiment.design, found.metric
    role, margin = _role(design, metric)
    if role == "exploratory" and not any(mean is not None for mean in found.means):
        return []
    levels, less = levels_of_look(len(blocks), design.blocks), bool(metric.less_is_better)
    judged = []
    for place, (arm, effect) in enumerate(
        zip(experiment.contenders, found.effects, strict=True), start=1
    ):
        sides = (runs[0], runs[place])
        verdict, held = Verdict("no_verdict"), _UNDECIDED
        if metric.name == ERROR_SHARE:
            level = levels.for_90 / len(experiment.contenders)
            held = _guarded_errors(design.stream, sides, blocks, margin, level)
        else:
            verdict = decide(
                effect,
                less_is_better=less,
                margin=design.margin,
                levels=levels,
                foresees=role == "primary",
            )
            held = guard(effect, margin, less_is_better=less, levels=levels)
            if effect is None and len(blocks) >= FIRST_LOOK:
                verdict = withheld(verdict, "no_number")
        why = _against(sides, found.control, design.margin)
        if why is not None:
            verdict, held = withheld(verdict, why), _UNDECIDED
        means = (found.means[0], found.means[place])
        if metric.name == ERROR_SHARE:
            means = _failed_shares(design.stream, sides, blocks)
        guards = held if role == "guardrail" else None
        judged.append(JudgedMetric(metric, role, arm.name, verdict, means, guards, margin))
    return judged


def _role(design: ExperimentDesign, metric: Metric) -> tuple[Role, float]:
    """Return the role of a metric, and the margin within which it may be worse."""
    guardrail = next((each for each in design.guardrails if each.metric == metric.name), None)
    if metric.name == design.metric:
        return "primary", design.margin
    if guardrail is not None:
        return "guardrail", guardrail.margin
    if metric.name == ERROR_SHARE:
        return "guardrail", ERROR_MARGIN
    return "exploratory", design.margin


def _against(
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
    return "machine_moved" if machine_moved(control, margin) else None


def validity_so_far(run: Run) -> Validity:
    """Return what a run is worth, by the trials that it has where it is not over."""
    if run.validity is not None:
        return run.validity
    return judge(run.trials, run.trials[0].streams, run.spec) if run.trials else Validity(None)


def _effects(
    values: Sequence[Sequence[float | None]], *, control: bool, family: int
) -> tuple[Effect | None, ...]:
    """Return the effect of each arm but the baseline, the negative control's last.

    None where it or the baseline has a trial without a number.
    """
    able = [place for place, row in enumerate(values) if None not in row]
    found: dict[int, Effect | None] = {}
    if 0 in able and len(able) > 1 and values[0]:
        has_control = control and able[-1] == len(values) - 1
        chosen = log_values([values[place] for place in able])
        if has_control and len(able) == 2:
            effects: tuple[Effect | None, ...] = (paired_effect(chosen[0], chosen[1]),)
        else:
            effects = contender_effects(chosen, control=has_control, family=family)
        found = dict(zip(able[1:], effects, strict=True))
    return tuple(found.get(place) for place in range(1, len(values)))


def _guarded_errors(
    stream: str, sides: Sequence[Run | None], blocks: Sequence[int], margin: float, level: float
) -> GuardrailOutcome:
    """Return whether a contender fails more often by more than the margin.

    `level` is two-sided, of which one side is looked at; 0 at a look that can say nothing yet.
    """
    if len(blocks) < FIRST_LOOK or not level:
        return "undecided"
    baseline, contender = (_failed(stream, run, blocks) for run in sides)
    within = share_difference(baseline, contender, level)
    if within.high <= margin:
        return "held"
    return "broken" if within.low > margin else "undecided"


def _failed_shares(
    stream: str, sides: Sequence[Run | None], blocks: Sequence[int]
) -> tuple[float, float]:
    """Return what the guardrail looks at of both sides, requests without an answer too."""
    baseline, contender = (_failed(stream, run, blocks).share for run in sides)
    return baseline, contender


def _failed(stream: str, run: Run | None, blocks: Sequence[int]) -> FailedShare:
    """Return how many requests of each trial failed, got no answer or were never sent."""
    found = [_stream(stream, run, block) for block in blocks]
    known = [summary for summary in found if summary is not None]
    failed = tuple(
        sum(summary.errors.values()) + (summary.censored.unanswered or 0) + max(0, summary.not_sent)
        for summary in known
    )
    completed = [summary.completed for summary in known]
    return FailedShare(failed, tuple(map(sum, zip(completed, failed, strict=True))))


def _value(stream: str, run: Run | None, block: int, metric: Metric) -> float | None:
    """Return the number of one trial; None where it is a bound, or too few samples say it.

    NaN where there is no trial: the block leaves the pairs of this arm.
    """
    summary = _stream(stream, run, block)
    if summary is None:
        return nan
    times, _, part = metric.name.partition(".")
    known = getattr(summary, times, None) if part else None
    if part in PERCENTILES and percentile_level(known, part) == "hidden":
        return None
    value = None if bounded(known, part) else value_of(summary, metric.name)
    return None if value == 0 and metric.unit != "share" else value


def _stream(stream: str, run: Run | None, block: int) -> Summary | None:
    """Return one stream of one trial; of the first where no name is given."""
    trial = _trial(run, block)
    streams = trial.streams if trial else ()
    return next((summary for summary in streams if stream in {"", summary.name}), None)


def _trial(run: Run | None, block: int) -> Trial | None:
    trials = run.trials if run else ()
    return next((trial for trial in trials if trial.block == block), None)


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the trials there are; None where one of them has no number."""
    known = [value for value in values if value is not None]
    measured = [value for value in known if not isnan(value)]
    return sum(measured) / len(measured) if measured and len(known) == len(values) else None


def block_values(judged: JudgedExperiment, metric: Metric) -> list[dict[int, float | None]]:
    """Return the number of each trial by its block, for each arm; None where none is believed."""
    stream = judged.experiment.design.stream
    return [
        {trial.block: _value(stream, run, trial.block, metric) for trial in run.trials}
        if run
        else {}
        for run in judged.runs
    ]
