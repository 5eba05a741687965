"""What the trials of an experiment say: each metric of each contender, judged after a look."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isnan
from typing import Literal

from control_plane.analysis.deciding.claims import (
    Measured,
    complete_blocks,
    failed_share,
    judged_objective,
    measured_value,
    metric_table,
    trial_value,
    trials_of,
)
from control_plane.analysis.deciding.effects import (
    Effect,
    Interval,
    VariancePrior,
    contender_effects,
    geometric_mean,
    log_values,
    paired_effect,
)
from control_plane.analysis.deciding.error_shares import guard_errors, share_gaps
from control_plane.analysis.deciding.noise_floor import noise_of
from control_plane.analysis.deciding.verdicts import (
    FIRST_LOOK,
    GuardrailOutcome,
    NoVerdictReason,
    PredictionOutcome,
    Verdict,
    decide,
    guard,
    judge_prediction,
    levels_of_look,
    machine_moved,
    withheld,
)
from control_plane.analysis.differences import CHANGED_IN_PAUSE
from control_plane.analysis.validity.gates import judge
from control_plane.domain.experiment import (
    ERROR_SHARE,
    BlockVariance,
    Experiment,
    ExperimentDesign,
    MetricNoise,
    is_whole,
)
from control_plane.domain.metrics import METRIC, METRICS, Metric
from control_plane.domain.objectives import JudgedObjective, Prediction
from control_plane.domain.result import Validity
from control_plane.domain.run import Run, State

Role = Literal["primary", "guardrail", "exploratory"]

ERROR_MARGIN = 0.001
"""The share of errors, 0.1 percentage points, by which a contender may be worse."""


@dataclass(frozen=True)
class JudgedMetric:
    """One metric of one contender against the baseline.

    `held` is None but for a guardrail. `values` are the geometric means over blocks of baseline and
    contender, of a share that of all requests; None where a trial has none. `gaps`: a share has no
    ratio; its difference lies in these intervals, of 95 % and of 90 %.
    """

    metric: Metric
    role: Role
    contender: str
    verdict: Verdict
    values: tuple[float | None, float | None]
    held: GuardrailOutcome | None = None
    margin: float = 0.0
    gaps: tuple[Interval, Interval] | None = None


@dataclass(frozen=True)
class JudgedPrediction:
    """A prediction with what became of it; `expected` is the range that its number should lie in.

    `found`: its number and the 95 % interval; None where there is none.
    """

    prediction: Prediction
    metric: Metric
    expected: tuple[float, float]
    outcome: PredictionOutcome
    found: Measured | None


@dataclass(frozen=True)
class JudgedExperiment:
    """An experiment as far as it is: `blocks` are complete; `runs` in the order of the arms.

    `control`: the baseline against itself in the metric that decides; None without one. `floors`:
    the noise floor of each metric with the declared blocks, where it is known. `noise`: all
    that earlier experiments say.
    """

    experiment: Experiment
    runs: tuple[Run | None, ...]
    state: State
    blocks: int
    metrics: tuple[JudgedMetric, ...]
    control: Effect | None = None
    objectives: tuple[JudgedObjective, ...] = ()
    predictions: tuple[JudgedPrediction, ...] = ()
    floors: Mapping[str, float] = field(default_factory=dict)
    noise: Mapping[str, MetricNoise] = field(default_factory=dict)

    @property
    def look(self) -> int:
        """How often was looked, 0 before the first look."""
        return max(0, self.blocks - FIRST_LOOK + 1)

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


def judge_experiment(
    experiment: Experiment,
    runs: Sequence[Run | None],
    earlier: Sequence[BlockVariance] = (),
) -> JudgedExperiment:
    """Return what the trials say; `runs` in the order of the arms, None for a deleted one.

    `earlier`: how much blocks varied in those before it, on this machine and under such a load;
    what they had said when it ended stands where that is kept.
    """
    stream, blocks, noise = experiment.design.stream, complete_blocks(runs), experiment.noise
    if noise is None:
        noise = noise_of(earlier, experiment.design.blocks)
    prior_of = {name: VariancePrior(*each.prior) for name, each in noise.items() if each.prior}
    measured = [
        _measured(experiment, metric_table(runs, stream, metric, blocks), metric, prior_of)
        for metric in METRICS
        if metric.less_is_better is not None
    ]
    judged = [each for found in measured for each in _judged(experiment, runs, found, blocks)]
    judged.sort(key=lambda each: ("primary", "guardrail", "exploratory").index(each.role))
    control = next(
        found.control for found in measured if found.metric.name == experiment.design.metric
    )
    return JudgedExperiment(
        experiment,
        tuple(runs),
        state_of_arms([run.state for run in runs if run is not None]),
        len(blocks),
        tuple(judged),
        control,
        tuple(_objectives(experiment, runs, blocks)),
        tuple(
            _prediction(prediction, experiment, runs, control, prior_of)
            for prediction in experiment.design.predictions
        ),
        {name: each.floor for name, each in noise.items()},
        noise,
    )


def _objectives(
    experiment: Experiment, runs: Sequence[Run | None], blocks: Sequence[int]
) -> Iterator[JudgedObjective]:
    """Yield what is asked of each arm, by its own spec and by the experiment, with its outcome."""
    level = levels_of_look(len(blocks), experiment.design.blocks).for_95
    contenders = {arm.name for arm in experiment.contenders}
    for arm, run in zip(experiment.arms, runs, strict=True):
        own = run.spec.objectives if run else ()
        asked = (
            objective
            for objective in experiment.design.objectives
            if objective.arm == arm.name or (not objective.arm and arm.name in contenders)
        )
        for objective in (*own, *asked):
            valid = _against((run,), None, experiment.design.margin) is None
            trials = trials_of(run, blocks)
            found = judged_objective(objective, trials, valid=valid, level=level)
            yield replace(found, arm=arm.name)


def _prediction(
    prediction: Prediction,
    experiment: Experiment,
    runs: Sequence[Run | None],
    control: Effect | None,
    prior_of: Mapping[str, VariancePrior],
) -> JudgedPrediction:
    """Return what became of a prediction; undecided where there is no verdict on its sides."""
    design, blocks = experiment.design, complete_blocks(runs)
    metric = METRIC[prediction.metric or design.metric]
    stream = prediction.stream or design.stream
    level = levels_of_look(len(blocks), design.blocks).for_95
    place = [arm.name for arm in experiment.arms].index(prediction.arm)
    sides = (runs[0], runs[place]) if prediction.kind == "ratio" else (runs[place],)
    low, high = prediction.expected(design.margin, less_is_better=bool(metric.less_is_better))
    found: Measured | None = None
    if prediction.kind == "value":
        found = measured_value(stream, trials_of(runs[place], blocks), metric, level)
    elif level:
        table = metric_table(runs, stream, metric, blocks)
        # Earlier experiments tell of the stream that is compared, as for the table.
        known = prior_of if stream == design.stream else {}
        effect = _measured(experiment, table, metric, known).effects[place - 1]
        found = (effect.ratio, effect.interval(level)) if effect else None
    trusted = found and _against(sides, control, design.margin) is None
    outcome = judge_prediction(
        found[1] if found and trusted else None, len(blocks), low=low, high=high
    )
    return JudgedPrediction(prediction, metric, (low, high), outcome, found)


_UNDECIDED: GuardrailOutcome = "undecided"


def state_of_arms(states: Sequence[State]) -> State:
    """Return paused, queued or running as long as an arm is not over, else how they ended.

    Finished where an arm is.
    """
    if not states:
        return State.CANCELLED
    if left := {state for state in states if not state.terminal}:
        at_rest = (state for state in (State.PAUSED, State.QUEUED) if left == {state})
        return next(at_rest, State.RUNNING)
    ends = (State.FINISHED, State.CANCELLED, State.INTERRUPTED, State.FAILED)
    return next(state for state in ends if state in states)


@dataclass(frozen=True)
class _Measured:
    """One metric: each arm's number of each block, effects of the contenders and the control."""

    metric: Metric
    values: Sequence[Sequence[float | None]]
    effects: tuple[Effect | None, ...]
    control: Effect | None


def _measured(
    experiment: Experiment,
    values: Sequence[Sequence[float | None]],
    metric: Metric,
    priors: Mapping[str, VariancePrior],
) -> _Measured:
    count, control = len(experiment.contenders), experiment.design.control
    effects = _effects(values, priors.get(metric.name), control=control, family=count)
    last = effects[count] if control else None
    return _Measured(metric, values, effects[:count], last)


def _judged(
    experiment: Experiment, runs: Sequence[Run | None], found: _Measured, blocks: Sequence[int]
) -> list[JudgedMetric]:
    design, metric = experiment.design, found.metric
    role, margin = _role(design, metric)
    if role == "exploratory" and not any(map(geometric_mean, found.values)):
        return []
    levels, less = levels_of_look(len(blocks), design.blocks), bool(metric.less_is_better)
    judged = []
    for place, (arm, effect) in enumerate(
        zip(experiment.contenders, found.effects, strict=True), start=1
    ):
        sides = (runs[0], runs[place])
        verdict, held, gaps = Verdict("no_verdict"), _UNDECIDED, None
        if metric.name == ERROR_SHARE:
            failed = [failed_share(design.stream, trials_of(run, blocks)) for run in sides]
            gaps = share_gaps(failed[0], failed[1], levels, len(experiment.contenders))
            held = guard_errors(gaps, margin)
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
        means = _both_means(found.values[0], found.values[place])
        if metric.name == ERROR_SHARE:
            means = failed[0].share, failed[1].share
        guards = held if role == "guardrail" else None
        judged.append(JudgedMetric(metric, role, arm.name, verdict, means, guards, margin, gaps))
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
        if run.environment and run.environment.get(CHANGED_IN_PAUSE):
            return "changed_in_pause"
    return "machine_moved" if machine_moved(control, margin) else None


def validity_so_far(run: Run) -> Validity:
    """Return what a run is worth, by the trials that it has where it is not over."""
    if run.validity is not None:
        return run.validity
    return judge(run.trials, run.trials[0].streams, run.spec) if run.trials else Validity(None)


def _effects(
    values: Sequence[Sequence[float | None]],
    prior: VariancePrior | None,
    *,
    control: bool,
    family: int,
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
            effects: tuple[Effect | None, ...] = (paired_effect(chosen[0], chosen[1], prior),)
        else:
            effects = contender_effects(chosen, prior, control=has_control, family=family)
        found = dict(zip(able[1:], effects, strict=True))
    return tuple(found.get(place) for place in range(1, len(values)))


def _both_means(
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


def block_values(judged: JudgedExperiment, metric: Metric) -> list[dict[int, float | None]]:
    """Return the number of each trial by its block, for each arm; None where none is believed."""
    stream = judged.experiment.design.stream
    return [
        {trial.block: trial_value(stream, trial, metric) for trial in run.trials} if run else {}
        for run in judged.runs
    ]
