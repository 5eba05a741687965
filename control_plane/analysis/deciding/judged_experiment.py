"""What the trials of an experiment say: each metric of each contender, judged after a look."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from control_plane.analysis.deciding import (
    Measured,
    arm_effects,
    both_means,
    complete_blocks,
    failed_share,
    judged_objective,
    measured_value,
    metric_table,
    trial_of,
    trial_value,
    trials_of,
    why_no_verdict,
    without_blocks,
)
from control_plane.analysis.deciding.effects import Effect, Interval, VariancePrior, geometric_mean
from control_plane.analysis.deciding.noise_floor import noise_of
from control_plane.analysis.deciding.verdicts import (
    NO_LOOK,
    GuardrailOutcome,
    LookLevels,
    PredictionOutcome,
    Verdict,
    decide,
    guard,
    guard_errors,
    judge_prediction,
    levels_at_stop,
    levels_of_look,
    machine_moved,
    precise,
    predicted_range,
    share_gaps,
    withheld,
)
from control_plane.analysis.validity.judged_run import disturbances
from control_plane.domain.experiment import (
    FIRST_LOOK,
    BlockVariance,
    Experiment,
    ExperimentDesign,
    MetricNoise,
    trial_order,
)
from control_plane.domain.metrics_and_objectives import (
    ERROR_SHARE,
    JUDGED_METRIC,
    SHARE_MARGIN,
    JudgedObjective,
    Metric,
    Prediction,
)
from control_plane.domain.run import Run, State, state_of_arms

Role = Literal["primary", "guardrail", "exploratory"]


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
class SpoiledBlock:
    """A block that was set aside, by its number, and what disturbed it."""

    number: int
    why: str


@dataclass(frozen=True)
class JudgedExperiment:
    """An experiment as far as it is: `blocks` are complete; `runs` in the order of the arms.

    `control`: the baseline against itself in the metric that decides; None without one. `floors`:
    the noise floor of each metric with the declared blocks, where it is known. `noise`: all
    that earlier experiments say. `levels` of this look. `spoiled` blocks are left out of all but
    `with_all`, the metric that decides over all blocks. `by_place`: the place of a trial in its
    block is a linear term.
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
    levels: LookLevels = NO_LOOK
    spoiled: tuple[SpoiledBlock, ...] = ()
    with_all: tuple[JudgedMetric, ...] = ()
    by_place: bool = False

    @property
    def look(self) -> int:
        """How often was looked, 0 before the first look."""
        if self.experiment.design.rule == "precision":
            return int(self.stops)
        return max(0, self.blocks - FIRST_LOOK + 1)

    @property
    def stops(self) -> bool:
        """Whether the interval is as precise as was asked for, so that no block follows."""
        return self.experiment.design.rule == "precision" and self.levels.for_95 > 0

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
        return self.blocks % len(self.runs) == 0


def judge_experiment(
    experiment: Experiment,
    runs: Sequence[Run | None],
    earlier: Sequence[BlockVariance] = (),
) -> JudgedExperiment:
    """Return what the trials say; `runs` in the order of the arms, None for a deleted one.

    `earlier`: how much blocks varied in those before it, on this machine and under such a load;
    what they had said when it ended stands where that is kept. Blocks that were spoiled take no
    part.
    """
    noise = experiment.noise
    if noise is None:
        noise = noise_of(earlier, experiment.design.blocks)
    kept = [without_blocks(run, experiment.spoiled) for run in runs]
    found = _judge(experiment, kept, noise)
    if not experiment.spoiled:
        return found
    return replace(
        found,
        spoiled=tuple(_spoiled(runs, sorted(experiment.spoiled))),
        with_all=_judge(experiment, runs, noise).primary,
    )


_PREVENTED = "Something kept a target from starting, such as a taken port: Looplab's log names it."


def _spoiled(runs: Sequence[Run | None], blocks: Sequence[int]) -> Iterator[SpoiledBlock]:
    for block in blocks:
        trials = [(trial, run) for run in runs if run and (trial := trial_of(run, block))]
        texts = [each.text for trial, run in trials for each in disturbances(trial, run.spec)]
        yield SpoiledBlock(block, " ".join(dict.fromkeys(texts or [_PREVENTED])))


def _judge(
    experiment: Experiment, runs: Sequence[Run | None], noise: Mapping[str, MetricNoise]
) -> JudgedExperiment:
    case = _case(experiment, runs, noise)
    measured = [
        case.measured(metric, experiment.design.stream)
        for metric in JUDGED_METRIC.values()
        if metric.less_is_better is not None
    ]
    judged = [each for found in measured for each in _judged(case, found)]
    judged.sort(key=lambda each: ("primary", "guardrail", "exploratory").index(each.role))
    control = next(
        found.control for found in measured if found.metric.name == experiment.design.metric
    )
    return JudgedExperiment(
        experiment,
        tuple(runs),
        state_of_arms([run.state for run in runs if run is not None]),
        len(case.blocks),
        tuple(judged),
        control,
        tuple(_objectives(case)),
        tuple(_prediction(each, case, control) for each in experiment.design.predictions),
        {name: each.floor for name, each in noise.items()},
        noise,
        levels=case.levels,
        by_place=case.places is not None,
    )


@dataclass(frozen=True)
class _Measured:
    """One metric: each arm's number of each block, effects of the contenders and the control."""

    metric: Metric
    values: Sequence[Sequence[float | None]]
    effects: tuple[Effect | None, ...]
    control: Effect | None


@dataclass(frozen=True)
class _Case:
    """The complete blocks of an experiment, and what is known beside them.

    `places` as for effects, None where every arm stood at each place equally often.
    """

    experiment: Experiment
    runs: Sequence[Run | None]
    blocks: Sequence[int]
    priors: Mapping[str, VariancePrior]
    places: NDArray[np.float64] | None
    levels: LookLevels = NO_LOOK

    def measured(self, metric: Metric, stream: str) -> _Measured:
        """Return the numbers and effects of a metric; earlier ones tell of the design's stream."""
        design, count = self.experiment.design, len(self.experiment.contenders)
        prior = self.priors.get(metric.name) if stream == design.stream else None
        values = metric_table(self.runs, stream, metric, self.blocks)
        effects = arm_effects(
            values, prior, control=design.control, family=count, places=self.places
        )
        last = effects[count] if design.control else None
        return _Measured(metric, values, effects[:count], last)


def _case(
    experiment: Experiment, runs: Sequence[Run | None], noise: Mapping[str, MetricNoise]
) -> _Case:
    design, blocks = experiment.design, complete_blocks(runs)
    priors = {name: VariancePrior(*each.prior) for name, each in noise.items() if each.prior}
    over = all(run.state.terminal for run in runs if run)
    # What stops anywhere is looked at as if it ended there, so that the last look says the same.
    ends_at = len(blocks) if over or design.rule == "precision" else design.blocks
    places = None if ends_at % len(runs) == 0 else _places(experiment, blocks)
    case = _Case(experiment, runs, blocks, priors, places)
    if design.rule == "spending":
        return replace(case, levels=levels_of_look(len(blocks), design.blocks))
    levels = levels_at_stop(design.blocks)
    effects = case.measured(JUDGED_METRIC[design.metric], design.stream).effects
    at_maximum = len(blocks) >= design.blocks
    stops = at_maximum or precise(effects, len(blocks), design.margin, levels)
    return replace(case, levels=levels) if stops else case


def _places(experiment: Experiment, blocks: Sequence[int]) -> NDArray[np.float64] | None:
    """Return at which place of its block each trial stood, from the middle; (arms, blocks)."""
    arms, design = len(experiment.arms), experiment.design
    rows = {block.number: block.row for block in experiment.blocks}
    order = trial_order(arms, design.blocks, design.seed)
    drawn = [order[row] for block in blocks if 0 <= (row := rows.get(block, block)) < len(order)]
    places = np.array([[block.index(arm) for block in drawn] for arm in range(arms)], np.float64)
    return places - (arms - 1) / 2 if len(drawn) == len(blocks) > 0 else None


def _objectives(case: _Case) -> Iterator[JudgedObjective]:
    """Yield what is asked of each arm, by its own spec and by the experiment, with its outcome."""
    experiment, design = case.experiment, case.experiment.design
    contenders = {arm.name for arm in experiment.contenders}
    for arm, run in zip(experiment.arms, case.runs, strict=True):
        own = run.spec.objectives if run else ()
        asked = (
            objective
            for objective in design.objectives
            if objective.arm == arm.name or (not objective.arm and arm.name in contenders)
        )
        for objective in (*own, *asked):
            valid = why_no_verdict((run,), None, design) is None
            trials = trials_of(run, case.blocks)
            found = judged_objective(objective, trials, valid=valid, level=case.levels.for_95)
            yield replace(found, arm=arm.name)


def _prediction(prediction: Prediction, case: _Case, control: Effect | None) -> JudgedPrediction:
    """Return what became of a prediction; undecided where there is no verdict on its sides."""
    design, runs, level = case.experiment.design, case.runs, case.levels.for_95
    metric = JUDGED_METRIC[prediction.metric or design.metric]
    stream = prediction.stream or design.stream
    place = [arm.name for arm in case.experiment.arms].index(prediction.arm)
    sides = (runs[0], runs[place]) if prediction.kind == "ratio" else (runs[place],)
    low, high = predicted_range(prediction, metric, design.margin)
    found: Measured | None = None
    if prediction.kind == "value":
        found = measured_value(stream, trials_of(runs[place], case.blocks), metric, level)
    elif level:
        effect = case.measured(metric, stream).effects[place - 1]
        found = (effect.ratio, effect.interval(level)) if effect else None
    trusted = found and why_no_verdict(sides, control, design, runs) is None
    outcome = judge_prediction(
        found[1] if found and trusted else None, len(case.blocks), low=low, high=high
    )
    return JudgedPrediction(prediction, metric, (low, high), outcome, found)


_UNDECIDED: GuardrailOutcome = "undecided"


def _judged(case: _Case, found: _Measured) -> list[JudgedMetric]:
    experiment, design, metric = case.experiment, case.experiment.design, found.metric
    levels, less, runs = case.levels, bool(metric.less_is_better), case.runs
    role, margin = _role(design, metric)
    if role == "exploratory" and not any(map(geometric_mean, found.values)):
        return []
    judged = []
    for place, (arm, effect) in enumerate(
        zip(experiment.contenders, found.effects, strict=True), start=1
    ):
        sides = (runs[0], runs[place])
        verdict, held, gaps = Verdict("no_verdict"), _UNDECIDED, None
        if metric.name == ERROR_SHARE:
            failed = [failed_share(design.stream, trials_of(run, case.blocks)) for run in sides]
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
            if effect is None and len(case.blocks) >= FIRST_LOOK:
                verdict = withheld(verdict, "no_number")
            elif effect is not None and design.rule == "precision" and not levels.for_95:
                verdict = withheld(verdict, "not_precise")
        why = why_no_verdict(sides, found.control, design, runs)
        if why is not None:
            verdict, held = withheld(verdict, why), _UNDECIDED
        means = both_means(found.values[0], found.values[place])
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
        return "guardrail", SHARE_MARGIN
    return "exploratory", design.margin


def block_values(judged: JudgedExperiment, metric: Metric) -> list[dict[int, float | None]]:
    """Return the number of each trial by its block, for each arm; None where none is believed."""
    stream = judged.experiment.design.stream
    return [
        {trial.block: trial_value(stream, trial, metric) for trial in run.trials} if run else {}
        for run in judged.runs
    ]
