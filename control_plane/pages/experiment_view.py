"""What the page of an experiment shows: effects on one scale, arms, design."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from control_plane.analysis.charts.figure import Figure
from control_plane.analysis.deciding.effects import Interval
from control_plane.analysis.deciding.judged_experiment import (
    JudgedExperiment,
    JudgedMetric,
)
from control_plane.analysis.deciding.verdicts import CONTROL_LEVEL
from control_plane.analysis.differences import BOOTED_IN_PAUSE, CHANGED_IN_PAUSE
from control_plane.analysis.prose import Sentence
from control_plane.analysis.prose.experiment_sentences import (
    REASONS,
    attempt_sentence,
    experiment_headline,
    failures_text,
    ratio_with_interval,
    sentences_with_all,
)
from control_plane.analysis.run_labels import RunLabel, arm_labels
from control_plane.domain.experiment import MOST_BLOCKS, Attempt
from control_plane.domain.metrics_and_objectives import METRIC, JudgedObjective
from control_plane.domain.run import Run, State
from control_plane.domain.spec import Spec
from control_plane.domain.units import WRITTEN, about, number_of, seconds, share
from control_plane.experiments.experiment_file import experiment_toml, stored_document
from control_plane.jobs.progress_and_expected_time import experiment_took_s
from control_plane.pages.compare.ratio_plot import (
    NARROWEST,
    PLOTTED,
    VERDICT_WORDS,
    EffectGroup,
    EffectMark,
    PredictionLine,
    awaited_group,
    close_up,
    needs_close_up,
    placed,
    prediction_lines,
    ratio_ticks,
    scale_half,
)
from control_plane.pages.experiment_arms import (
    ArmMatrix,
    ArmsTable,
    BlockProgress,
    ConfirmOffer,
    arm_commits,
    arm_matrix,
    arms_table,
    block_progress,
    comparison_of_arms,
    confirm_offer,
)
from control_plane.pages.experiment_cards import BesideTheirs, validity_badges
from control_plane.pages.run.run_numbers import AxisTick
from control_plane.pages.site import View


@dataclass(frozen=True)
class ExperimentFragment(View):
    """What changes while an experiment is measured.

    `elsewhere`: which other machines get how much once it is measured again.
    """

    template: ClassVar[str] = "partials/experiment.html"
    id: str
    waiting: bool
    title: Sentence
    rest: Sentence
    state: State
    badges: tuple[tuple[str, str], ...]
    facts: tuple[str, ...]
    noise_floor: str
    progress: BlockProgress | None
    offer: ConfirmOffer | None
    attempts: tuple[Attempt, ...]
    attempt: str
    objectives: tuple[JudgedObjective, ...]
    predictions: tuple[PredictionLine, ...]
    baseline: RunLabel
    ticks: tuple[AxisTick, ...]
    close_up: bool
    groups: tuple[EffectGroup, ...]
    others: tuple[EffectGroup, ...]
    arms: ArmsTable
    matrix: ArmMatrix | None
    compare: str | None
    design: tuple[tuple[str, str], ...]
    toml: str
    beside: BesideTheirs | None = None
    elsewhere: tuple[str, ...] = ()

    @property
    def by_chance(self) -> str:
        """How often one confirmation or more finds a difference that is none."""
        return share(1 - 0.95 ** sum(attempt.confirms for attempt in self.attempts))


@dataclass(frozen=True)
class ExperimentCurves(View):
    """The percentiles of every arm, asked for by the page once it stands."""

    template: ClassVar[str] = "partials/experiment_curves.html"
    figure: Figure


def experiment_part(
    judged: JudgedExperiment,
    hints: Callable[[Run], tuple[str, ...]],
    expected_seconds: Callable[[Spec], float],
    most_blocks: int = MOST_BLOCKS,
) -> ExperimentFragment:
    """Return what changes while an experiment is measured; one has at most `most_blocks`.

    `hints` help a run that failed; `expected_seconds` of a spec is how long all its trials take.
    """
    experiment, labels = judged.experiment, arm_labels(judged.experiment)
    groups, half = _groups(judged, labels)
    title, rest = experiment_headline(judged, labels)
    return ExperimentFragment(
        id=experiment.id,
        waiting=judged.state.waiting,
        title=title,
        rest=rest,
        state=judged.state,
        badges=tuple(validity_badges(judged, labels)),
        facts=tuple(_facts(judged)),
        noise_floor=_noise_floor(judged),
        progress=None if judged.state.terminal else block_progress(judged, expected_seconds),
        offer=confirm_offer(judged, expected_seconds, most_blocks),
        attempts=experiment.attempts,
        attempt=attempt_sentence(experiment),
        objectives=judged.objectives,
        predictions=tuple(prediction_lines(judged.predictions)),
        baseline=labels[0],
        ticks=tuple(ratio_ticks(half)),
        close_up=needs_close_up(groups, half) and not judged.state.waiting,
        groups=tuple(group for group in groups if group.leads),
        others=tuple(group for group in groups if not group.leads),
        matrix=arm_matrix(judged),
        arms=arms_table(judged, labels, [hints(run) if run else () for run in judged.runs]),
        compare=comparison_of_arms(judged),
        design=(*_design(judged), *_measured(judged)),
        toml=_toml(judged),
    )


def _facts(judged: JudgedExperiment) -> Iterator[str]:
    design = judged.experiment.design
    blocks = number_of(design.blocks, "interleaved block")
    yield f"{_methods(judged)} over {judged.blocks} of {blocks}"
    if judged.experiment.discarded:
        yield f"{judged.experiment.discarded} cut off by a pause or an end of Looplab"
    if judged.spoiled:
        them = "it" if len(judged.spoiled) == 1 else "them"
        yield f"{len(judged.spoiled)} set aside, because something else disturbed {them}"
    yield f"margin ±{share(design.margin)}"
    yield from arm_commits(judged)
    if design.note:
        yield design.note
    if judged.state.terminal and judged.blocks and not judged.whole:
        yield "ended before each arm had had each place in a block equally often"


def _noise_floor(judged: JudgedExperiment) -> str:
    """Return the noise floor with where it comes from; empty where nothing was measured before."""
    design = judged.experiment.design
    floor = judged.floors.get(design.metric)
    with_blocks = f"with {number_of(design.blocks, 'block')}, by earlier experiments here"
    return "" if floor is None else f"noise floor ±{share(floor)} {with_blocks}"


METHODS = {
    "paired": "paired",
    "moderated": "paired, with the variance of earlier sessions",
    "dunnett": "simultaneous intervals",
    "bonferroni": "paired, with the 5 % of error divided among the arms",
    "sessions": "over sessions",
}
"""How an interval was made, in words."""


def _methods(judged: JudgedExperiment) -> str:
    effects = [metric.verdict.effect for metric in judged.primary]
    known = sorted({effect.method for effect in effects if effect})
    return ", ".join(METHODS.get(method, method) for method in known) or "measured"


def _design(judged: JudgedExperiment) -> Iterator[tuple[str, str]]:
    design = judged.experiment.design
    arms = len(judged.experiment.arms)
    every = "both" if arms == 2 else f"all {arms}"
    yield "Blocks", f"at most {design.blocks}, each with a trial of {every} arms"
    yield "Order", "a Williams design, drawn from the seed" if arms > 2 else "AB BA, by the seed"
    yield "Seed", str(design.seed)
    if judged.experiment.sessions > 1:
        booted = any(run and (run.environment or {}).get(BOOTED_IN_PAUSE) for run in judged.runs)
        anew = ", and the machine was started anew" if booted else ""
        yield (
            "Sessions",
            f"{judged.experiment.sessions}, with a pause or the end of Looplab in between{anew}",
        )
        yield "Burnt", "the first trial of each session, which was thrown away"
        known = [run.environment for run in judged.runs if run and run.environment]
        changed = [each for facts in known for each in facts.get(CHANGED_IN_PAUSE, ())]
        if changed:
            yield "Changed while it was paused", "; ".join(dict.fromkeys(changed))
    else:
        yield "Burnt", "the first trial, which was thrown away"
    yield from _looked(judged)
    yield "Margin", f"±{share(design.margin)}"
    if judged.control is not None:
        interval = judged.control.interval(CONTROL_LEVEL)
        text, bounds = ratio_with_interval(judged.control.ratio, interval)
        said = "the machine moved" if judged.moved else "no more than chance"
        yield "Negative control", f"the baseline against itself: {text} {bounds}, 99 %: {said}"


def _looked(judged: JudgedExperiment) -> Iterator[tuple[str, str]]:
    """Yield when was looked, how places count, and which blocks are left out."""
    design = judged.experiment.design
    if design.rule == "precision":
        reach = f"half of the margin, ±{share(design.margin / 2)}"
        yield "Looks", f"one, when the interval reaches no further than {reach}; from block 6 on"
    else:
        yield "Looks", "after each block from the third on; O'Brien and Fleming's spending"
    if judged.by_place:
        yield "Place in the block", "one linear term: not every arm stood at each place as often"
    for block in judged.spoiled:
        yield f"Block {block.number + 1} set aside", f"{block.why} {_again(judged, block.number)}"
    if judged.with_all:
        yield "With all blocks", " ".join(sentences_with_all(judged))


def _again(judged: JudgedExperiment, number: int) -> str:
    """Return what becomes, or became, of the place in the design of a block that is set aside."""
    blocks = judged.experiment.blocks
    row = next(block.row for block in blocks if block.number == number)
    if any(block.row == row and block.outcome == "complete" for block in blocks):
        return "It was measured again, once."
    if judged.state.terminal:
        return "It was not measured again."
    unless = ", unless it is precise before" if judged.experiment.design.rule == "precision" else ""
    return f"It is to be measured again at the end{unless}."


def _toml(judged: JudgedExperiment) -> str:
    """Return the file of the experiment; empty where too few arms are left to make one."""
    document = stored_document(judged.experiment, judged.runs)
    return experiment_toml(document) if document else ""


def _measured(judged: JudgedExperiment) -> Iterator[tuple[str, str]]:
    """Yield how long it took, without pauses, and what a trial is."""
    runs = [run for run in judged.runs if run]
    took_s = experiment_took_s(judged)
    if took_s is not None:
        yield "Took", about(took_s)
    if runs:
        spec = runs[0].spec
        loads = [f"{each.load.label}, {each.stop.label}" for each in spec.workload.streams]
        told = f"a fresh target, {seconds(spec.warmup_s)} warm-up, {'; '.join(loads)}"
        yield "Trial", f"{told} in {judged.experiment.arms[0].name}"


def _interval(metric: JudgedMetric) -> Interval | None:
    """Return the interval that decides: of a guardrail that of 90 %, as one side of it counts."""
    verdict = metric.verdict
    return verdict.within_90 if metric.role == "guardrail" else verdict.within_95


def _bounds(metric: JudgedMetric) -> tuple[float, ...]:
    """Return the ratio with its interval."""
    effect, interval = metric.verdict.effect, _interval(metric)
    ratio = (effect.ratio,) if effect else ()
    return (*ratio, interval.low, interval.high) if interval else ratio


def _groups(
    judged: JudgedExperiment, labels: Sequence[RunLabel]
) -> tuple[tuple[EffectGroup, ...], float]:
    """Return the metrics that are shown, and the logarithm that their scale reaches.

    Those that lead stand there from the beginning.
    """
    under_way, found = judged.state.waiting, defaultdict[str, list[JudgedMetric]](list)
    for each in judged.metrics:
        if each.role != "exploratory" or each.values[1]:
            found[each.metric.name].append(each)
    bounds = [value for marks in found.values() for each in marks for value in _bounds(each)]
    half = scale_half(bounds, judged.experiment.design.margin)
    groups = [_group(marks, labels, half, under_way=under_way) for marks in found.values()]
    contenders = labels[1 : len(judged.experiment.contenders) + 1]
    absent = [name for name in PLOTTED if under_way and name not in found]
    return (*groups, *(awaited_group(METRIC[name].label, contenders) for name in absent)), half


def _group(
    judged: Sequence[JudgedMetric], labels: Sequence[RunLabel], half: float, *, under_way: bool
) -> EffectGroup:
    by_name, first = {label.name: label for label in labels}, judged[0]
    return EffectGroup(
        label=first.metric.label,
        note={"primary": "decides", "guardrail": "guardrail"}.get(first.role, ""),
        margin=round(50 * math.log1p(first.margin) / half, 2),
        leads=first.role != "exploratory" or first.metric.name in PLOTTED,
        marks=tuple(_mark(each, by_name[each.contender], half) for each in judged),
        near_margin=round(min(50, 50 * math.log1p(first.margin) / NARROWEST), 2),
        under_way=under_way,
    )


def _mark(metric: JudgedMetric, label: RunLabel, half: float) -> EffectMark:
    verdict, effect = metric.verdict, metric.verdict.effect
    finding = metric.held or verdict.finding
    word = VERDICT_WORDS[finding]
    within = _interval(metric)
    if effect is None or within is None:
        why = REASONS[verdict.reason] if verdict.reason else _both_values(metric)
        return EffectMark(label, None, 50, 50, why, "", "", finding, word, None)
    less = bool(metric.metric.less_is_better)
    at, *ends = (placed(value, half, less_is_better=less) for value in _bounds(metric))
    text, interval = ratio_with_interval(effect.ratio, within)
    more = verdict.more_blocks
    values = _both_values(metric)
    near = close_up(effect.ratio, within, less_is_better=less)
    return EffectMark(
        label, at, min(ends), max(ends), text, interval, values, finding, word, more, near
    )


def _both_values(metric: JudgedMetric) -> str:
    """Return `8,770 /s against 8,740 /s`: geometric means over blocks, the contender's first."""
    told = failures_text(metric)
    if metric.values == (0, 0) and told:
        return told
    baseline, contender = (WRITTEN[metric.metric.unit](value) for value in metric.values)
    return f"{contender} against {baseline}{f'; {told}' if told else ''}"
