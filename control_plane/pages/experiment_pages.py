"""Experiments: the list of those that were handed in, and the page of one."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, ClassVar

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from control_plane.analysis.deciding.effects import Interval
from control_plane.analysis.deciding.judged_experiment import (
    JudgedExperiment,
    JudgedMetric,
    judge_experiment,
    validity_so_far,
)
from control_plane.analysis.deciding.verdicts import CONTROL_LEVEL
from control_plane.analysis.prose.experiment_sentences import (
    REASONS,
    experiment_sentence,
    turned,
)
from control_plane.analysis.run_labels import LETTERS, MARKERS, RunLabel, label_runs
from control_plane.dependencies import ExperimentId, RunServiceDep, StoreDep
from control_plane.domain.errors import Conflict
from control_plane.domain.experiment import Experiment
from control_plane.domain.ids import compared_ids, experiment_address
from control_plane.domain.run import Run, State
from control_plane.domain.spec_json import Document, write_spec
from control_plane.domain.units import WRITTEN, about, figures, share
from control_plane.experiments.presets import (
    BLOCKS,
    Question,
    Variant,
    bundled_experiment,
    preset_catalogue,
)
from control_plane.jobs.run_service import RunService
from control_plane.pages.compare.ratio_plot import NARROWEST, PLOTTED, WIDENED, ratio_ticks
from control_plane.pages.number_cells import AxisTick
from control_plane.pages.run.live import RenderCacheDep
from control_plane.pages.site import View
from control_plane.pages.site.templating import NO_STORE, fragment, page
from control_plane.pages.urls import EXPERIMENTS, compare_url
from control_plane.store.store import Store

router = APIRouter(include_in_schema=False)

VERDICT_WORDS = {
    "better": "better",
    "worse": "worse",
    "small_but_real": "small but real",
    "equivalent": "equivalent",
    "likely_better": "likely better",
    "likely_worse": "likely worse",
    "inconclusive": "inconclusive",
    "no_verdict": "no verdict",
    "held": "held",
    "broken": "broken",
    "undecided": "undecided",
}


@dataclass(frozen=True)
class EffectMark:
    """One contender on the scale of its metric: `at`, `low` and `high` in per cent, 50 is same.

    `at` None: there is no interval, and `text` says why.
    """

    label: RunLabel
    at: float | None
    low: float
    high: float
    text: str
    interval: str
    values: str
    verdict: str
    word: str
    more: int | None

    @property
    def decided(self) -> bool:
        """Whether its mark is filled: the interval says something."""
        return self.verdict not in {"inconclusive", "no_verdict", "undecided"}


@dataclass(frozen=True)
class EffectGroup:
    """One metric; `leads`: it stands in view, while others are folded."""

    label: str
    note: str
    margin: float
    leads: bool
    marks: tuple[EffectMark, ...]


@dataclass(frozen=True)
class ArmLine:
    """One arm: its run, and how many blocks have its trial."""

    label: RunLabel
    run: Run | None
    blocks: int
    hints: tuple[str, ...]


@dataclass(frozen=True)
class ExperimentFragment(View):
    """What changes while an experiment is measured."""

    template: ClassVar[str] = "partials/experiment.html"
    id: str
    waiting: bool
    sentence: str
    state: State
    facts: tuple[str, ...]
    baseline: RunLabel
    ticks: tuple[AxisTick, ...]
    groups: tuple[EffectGroup, ...]
    others: tuple[EffectGroup, ...]
    arms: tuple[ArmLine, ...]
    compare: str | None
    design: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ExperimentPage(View):
    """One experiment, while it is measured and after."""

    template: ClassVar[str] = "pages/experiment.html"
    experiment: Experiment
    part: ExperimentFragment


@dataclass(frozen=True)
class BundledCard:
    """An experiment that comes with Looplab; `durations` by variant."""

    slug: str
    question: str
    teaches: str
    arms: tuple[str, ...]
    durations: tuple[tuple[Variant, str], ...]


@dataclass(frozen=True)
class ExperimentsPage(View):
    """The newest experiments, each with its sentence, and those that one click starts."""

    template: ClassVar[str] = "pages/experiments.html"
    experiments: tuple[tuple[Experiment, str, State], ...]
    bundled: tuple[BundledCard, ...]
    example: str


EXAMPLE = """question = "Is uvloop faster?"
metric = "throughput_per_s"

[spec.workload]
streams = [{ requests = [{ path = "/items/17" }],
             load = { model = "closed", concurrency = 64 },
             stop = { duration_s = 2 } }]

[[arms]]
name = "asyncio"
spec.target.configuration = "uvicorn, 1 worker, asyncio"

[[arms]]
name = "uvloop"
spec.target.configuration = "uvicorn, 1 worker, uvloop"
"""


@router.get(EXPERIMENTS)
def experiments(request: Request, store: StoreDep, service: RunServiceDep) -> HTMLResponse:
    """List the newest experiments, and those that one click starts."""
    judged = [judge_experiment(found, store.arm_runs(found)) for found in store.experiments(20)]
    listed = tuple((each.experiment, experiment_sentence(each), each.state) for each in judged)
    cards = tuple(_card(question, service) for question in preset_catalogue().questions)
    return page(request, ExperimentsPage(listed, cards, EXAMPLE))


def _card(question: Question, service: RunService) -> BundledCard:
    seconds = {
        variant: service.seconds_of_experiment(bundled_experiment(question, variant))
        for variant in BLOCKS
    }
    durations = tuple((variant, about(duration_s)) for variant, duration_s in seconds.items())
    arms = tuple(arm.name for arm in question.arms)
    return BundledCard(question.slug, question.title, question.teaches, arms, durations)


DECIDED_BLOCKS = 10


@router.post("/experiments/of-runs")
def decide_runs(
    store: StoreDep, service: RunServiceDep, runs: Annotated[str, Form(max_length=200)]
) -> RedirectResponse:
    """Measure the specs of these runs again, in turns, and decide over them."""
    ids, _ = compared_ids(runs, None)
    found = [store.run(run_id) for run_id in ids]
    made = service.submit_experiment(experiment_of_runs(found))
    return RedirectResponse(experiment_address(made.id), 303)


def experiment_of_runs(runs: Sequence[Run]) -> Document:
    """Return the document of an experiment whose arms have the specs of runs; the first is A."""
    labels = label_runs(runs)
    common = {"title", "tags", "trials", "seed"}
    arms = [
        {
            "name": label.text[:60],
            "spec": {
                key: value for key, value in write_spec(run.spec).items() if key not in common
            },
        }
        for label, run in zip(labels, runs, strict=True)
    ]
    question = f"How do {' and '.join(label.text for label in labels)} differ?"
    return {"question": question[:200], "arms": arms, "blocks": DECIDED_BLOCKS}


@router.post("/experiments/{slug}/start")
def start(
    slug: str, service: RunServiceDep, variant: Annotated[Variant, Form()] = "quick"
) -> RedirectResponse:
    """Start an experiment that comes with Looplab, and show it."""
    question = preset_catalogue().question(slug)
    made = service.submit_experiment(bundled_experiment(question, variant))
    return RedirectResponse(experiment_address(made.id), 303)


@router.get("/experiments/{experiment_id}")
def experiment(
    request: Request, experiment_id: ExperimentId, store: StoreDep, service: RunServiceDep
) -> HTMLResponse:
    """Show an experiment as far as it is."""
    part = current_part(store, service, experiment_id)
    return page(request, ExperimentPage(store.experiment(experiment_id), part))


@router.get("/experiments/{experiment_id}/live")
def live(
    request: Request,
    experiment_id: ExperimentId,
    store: StoreDep,
    service: RunServiceDep,
    cache: RenderCacheDep,
) -> HTMLResponse:
    """Return what changed; the page stops to ask for it when the experiment is over."""
    body = cache.shared(
        experiment_id,
        lambda: bytes(fragment(request, current_part(store, service, experiment_id)).body),
    )
    return HTMLResponse(body, headers=NO_STORE)


@router.post("/experiments/{experiment_id}/cancel")
async def cancel(experiment_id: ExperimentId, service: RunServiceDep) -> RedirectResponse:
    """Cancel an experiment; one that ended in the meantime shows its result."""
    with suppress(Conflict):
        await service.cancel_experiment(experiment_id)
    return RedirectResponse(experiment_address(experiment_id), 303)


def current_part(store: Store, service: RunService, experiment_id: str) -> ExperimentFragment:
    """Return what the page shows of an experiment now. Raises NotFound."""
    found = store.experiment(experiment_id)
    return experiment_part(judge_experiment(found, store.arm_runs(found)), service.hints)


def experiment_part(
    judged: JudgedExperiment, hints: Callable[[Run], tuple[str, ...]] = lambda _: ()
) -> ExperimentFragment:
    """Return what changes while an experiment is measured; `hints` help a run that failed."""
    experiment, design = judged.experiment, judged.experiment.design
    labels = tuple(_label(place, arm.name, arm.run_id) for place, arm in enumerate(experiment.arms))
    shown = [
        metric
        for metric in judged.metrics
        if metric.role != "exploratory" or metric.values[1] is not None
    ]
    half = _half_width(shown, design.margin)
    groups = tuple(_groups(shown, labels, half))
    with_result = [run.id for run in judged.runs if run and run.state is State.FINISHED]
    return ExperimentFragment(
        id=experiment.id,
        waiting=not judged.state.terminal,
        sentence=experiment_sentence(judged),
        state=judged.state,
        facts=tuple(_facts(judged)),
        baseline=labels[0],
        ticks=tuple(ratio_ticks(half)),
        groups=tuple(group for group in groups if group.leads),
        others=tuple(group for group in groups if not group.leads),
        arms=tuple(
            ArmLine(label, run, len(run.trials) if run else 0, hints(run) if run else ())
            for label, run in zip(labels, judged.runs, strict=True)
        ),
        compare=compare_url(with_result) if 1 < len(with_result) <= len(LETTERS) else None,
        design=tuple(_design(judged)),
    )


def _label(place: int, name: str, run_id: str | None) -> RunLabel:
    letter = LETTERS[place] if place < len(LETTERS) else str(place + 1)
    return RunLabel(place, run_id or "", letter, name, MARKERS[place % 6], hollow=place >= 6)


def _facts(judged: JudgedExperiment) -> Iterator[str]:
    design = judged.experiment.design
    yield f"{judged.blocks} of {design.blocks} blocks, interleaved"
    yield f"margin ±{share(design.margin)}"
    methods = {metric.verdict.effect.method for metric in judged.primary if metric.verdict.effect}
    yield from sorted(methods)
    outcomes = [validity_so_far(run).outcome for run in judged.runs if run]
    for outcome in ("suspect", "invalid"):
        if outcome in outcomes:
            yield f"{outcomes.count(outcome)} of {len(judged.runs)} arms {outcome}"
    if judged.blocks and not judged.whole:
        yield "ends inside a square of the order"


def _design(judged: JudgedExperiment) -> Iterator[tuple[str, str]]:
    design = judged.experiment.design
    arms = len(judged.experiment.arms)
    yield "Blocks", f"at most {design.blocks}, each with a trial of all {arms} arms"
    yield "Order", "a Williams design, drawn from the seed" if arms > 2 else "AB BA, by the seed"
    yield "Seed", str(design.seed)
    yield "Burnt", "the first trial, which was thrown away"
    yield "Looks", "after each block from the third on; O'Brien and Fleming's spending"
    yield "Margin", f"±{share(design.margin)}"
    if judged.control is not None:
        interval = judged.control.interval(CONTROL_LEVEL)
        text, bounds = ratio_with_interval(judged.control.ratio, interval)
        said = "the machine moved" if judged.moved else "no more than chance"
        yield "Negative control", f"the baseline against itself: {text} {bounds}, 99 %: {said}"


def _half_width(metrics: list[JudgedMetric], margin: float) -> float:
    """Return the logarithm that the scale reaches to either side."""
    sizes = [
        abs(math.log(value))
        for metric in metrics
        if (effect := metric.verdict.effect)
        for value in (effect.ratio, *_bounds(metric))
        if 0 < value < math.inf
    ]
    # One wide interval must not make all others points.
    return min(max([WIDENED * max(sizes, default=0), NARROWEST, 2 * margin]), math.log(1_000))


def _bounds(metric: JudgedMetric) -> tuple[float, ...]:
    interval = metric.verdict.within_95
    return (interval.low, interval.high) if interval else ()


def _groups(
    metrics: list[JudgedMetric], labels: tuple[RunLabel, ...], half: float
) -> Iterator[EffectGroup]:
    by_name = {label.name: label for label in labels}
    names = dict.fromkeys(metric.metric.name for metric in metrics)
    for name in names:
        of_metric = [metric for metric in metrics if metric.metric.name == name]
        marks = tuple(_mark(metric, by_name[metric.contender], half) for metric in of_metric)
        first = of_metric[0]
        note = {"primary": "decides", "guardrail": "guardrail"}.get(first.role, "")
        leads = first.role != "exploratory" or name in PLOTTED
        margin = round(50 * math.log1p(first.margin) / half, 2)
        yield EffectGroup(first.metric.label, note, margin, leads, marks)


def _mark(metric: JudgedMetric, label: RunLabel, half: float) -> EffectMark:
    verdict, effect = metric.verdict, metric.verdict.effect
    finding = metric.held or verdict.finding
    word = VERDICT_WORDS[finding]
    if effect is None or verdict.within_95 is None:
        why = REASONS[verdict.reason] if verdict.reason else _errors_of(metric)
        return EffectMark(label, None, 50, 50, why, "", "", finding, word, None)
    sign = -1 if metric.metric.less_is_better else 1
    at = _place(sign * effect.log_ratio, half)
    ends = [_place(sign * math.log(max(bound, 1e-9)), half) for bound in _bounds(metric)]
    text, interval = ratio_with_interval(effect.ratio, verdict.within_95)
    more = verdict.more_blocks
    values = _errors_of(metric)
    return EffectMark(label, at, min(ends), max(ends), text, interval, values, finding, word, more)


WIDEST = 1_000.0
"""An interval that reaches further says nothing."""


def ratio_with_interval(value: float, interval: Interval) -> tuple[str, str]:
    """Return `×1.12` and `[1.08, 1.16]`; where all of it lies below 1 turned: `÷8` `[7, 9.1]`."""
    value, interval, lower = turned(value, interval)
    text = f"{'÷' if lower else '×'}{figures(value)}"
    if interval.high > WIDEST:
        return text, "[too wide]"
    return text, f"[{figures(interval.low)}, {figures(interval.high)}]"


def _errors_of(metric: JudgedMetric) -> str:
    """Return both shares of a metric that has no ratio."""
    baseline, contender = (WRITTEN[metric.metric.unit](value) for value in metric.values)
    return f"{contender} against {baseline}"


def _place(value: float, half: float) -> float:
    return round(min(100.0, max(0.0, 50 + 50 * value / half)), 2)
