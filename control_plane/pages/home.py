"""The home page: what is running, the questions with their last answers, recent runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, ClassVar

from fastapi import APIRouter, Path, Request, Response

from control_plane.analysis.charts.throughput_bars import Bar, throughput_bars
from control_plane.analysis.comparison import Comparison, compare
from control_plane.analysis.prose.comparison_sentences import comparison_title
from control_plane.analysis.prose.sentence import Sentence
from control_plane.dependencies import RunServiceDep, StoreDep
from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.run import Run
from control_plane.domain.spec import Spec
from control_plane.domain.units import about
from control_plane.experiments.presets import Question, preset_catalogue
from control_plane.jobs.run_service import Configuration, RunService
from control_plane.pages.form.form_data import (
    FormDep,
    idempotency_key,
    new_idempotency_key,
    redirect_to_runs,
)
from control_plane.pages.progress_view import phase_text
from control_plane.pages.run_rows import RunListRow, run_list_row
from control_plane.pages.site import View
from control_plane.pages.site.templating import fragment, page
from control_plane.pages.urls import compare_url
from control_plane.store.store import Store

MAX_RECENT_PER_ARM = 4
"""How many of the newest runs of a question are looked at for each of its arms."""


@dataclass(frozen=True)
class RunningView(View):
    """The run that works now; `share` in per cent. Asked for again while `busy`."""

    template: ClassVar[str] = "partials/running.html"
    id: str | None
    title: str
    phase: str
    share: int
    left: str
    rate_per_s: float | None
    queued: int


@dataclass(frozen=True)
class QuestionResult:
    """What the newest runs of a question answer.

    `validity`: what is not valid in it, and `worst` the worst of that.

    `over` False: some runs are under way.
    """

    href: str
    bars: tuple[Bar, ...]
    sentence: Sentence
    validity: str
    worst: str
    at: datetime
    over: bool


@dataclass(frozen=True)
class QuestionCard:
    slug: str
    title: str
    teaches: str
    runs: int
    time: str
    key: str
    answer: QuestionResult | None


@dataclass(frozen=True)
class OfferedApplication:
    """An application of the settings, with the path that a first run asks for.

    `serves`: its import string or command.
    """

    name: str
    path: str
    serves: str


@dataclass(frozen=True)
class HomePage(View):
    """`applications`: the first of those of the settings; `more_applications` counts the others."""

    template: ClassVar[str] = "pages/home.html"
    running: RunningView
    applications: tuple[OfferedApplication, ...]
    more_applications: int
    cards: tuple[QuestionCard, ...]
    configurations: tuple[Configuration, ...]
    strategies: tuple[str, ...]
    time: str
    key: str
    rows: tuple[RunListRow, ...]
    total: int


def running_view(service: RunService) -> RunningView:
    """Return what is running now."""
    view = service.queue_status()
    run, progress = view.running, view.progress
    if run is None or progress is None:
        return RunningView(None, "", "", 0, "", None, view.queued)
    live = service.live(run.id)
    streams = live.streams if live else ()
    rates = [stream.throughput_per_s for stream in streams if stream.throughput_per_s]
    return RunningView(
        id=run.id,
        title=run.title,
        phase=phase_text(run.spec, progress, live),
        share=round(100 * progress.share),
        left=about(progress.remaining_s) if progress.remaining_s is not None else "",
        rate_per_s=sum(rates) or None,
        queued=view.queued,
    )


def cards(store: Store, service: RunService, key: str) -> tuple[QuestionCard, ...]:
    """Return a card for each question."""
    return tuple(_card(question, store, service, key) for question in preset_catalogue().questions)


def preset_time(name: str, service: RunService) -> str:
    """Return how long a preset takes, such as `50 s`."""
    return about(service.expected_seconds(service.check(preset_catalogue().preset(name).document)))


def _card(question: Question, store: Store, service: RunService, key: str) -> QuestionCard:
    specs = [service.check(arm.document) for arm in question.arms]
    answering = _answering(question, specs, store)
    return QuestionCard(
        slug=question.slug,
        title=question.title,
        teaches=question.teaches,
        runs=len(specs),
        time=about(sum(service.expected_seconds(spec) for spec in specs)),
        key=f"{key}.{question.slug}",
        answer=_answer(answering) if answering else None,
    )


def _answering(question: Question, specs: Sequence[Spec], store: Store) -> list[Run]:
    """Return the newest run of each arm; none unless every arm has one."""
    recent = store.runs(limit=MAX_RECENT_PER_ARM * len(specs), tag=question.slug).runs
    found = [
        next((run for run in recent if _same_but_for_names(run.spec, spec)), None) for spec in specs
    ]
    known = [run for run in found if run is not None]
    return known if len(known) == len(specs) else []


def _same_but_for_names(spec: Spec, other: Spec) -> bool:
    return replace(spec, title="", tags=()) == replace(other, title="", tags=())


def _answer(runs: Sequence[Run]) -> QuestionResult:
    comparison = compare(runs, runs[0].id)
    validity = _doubts(comparison)
    return QuestionResult(
        href=compare_url([run.id for run in runs]),
        bars=throughput_bars(comparison, comparison.streams[0]).bars,
        sentence=comparison_title(comparison),
        validity=validity,
        worst="invalid" if "invalid" in validity else "suspect",
        at=max(run.created_at for run in runs),
        over=all(run.state.terminal for run in runs),
    )


def _doubts(comparison: Comparison) -> str:
    """Return `1 of 3 runs suspect`; empty where nothing is in doubt."""
    outcomes = [comparison.outcome(run) for run in comparison.runs]
    counted = {word: outcomes.count(word) for word in ("invalid", "suspect")}
    phrases = [f"{number} {word}" for word, number in counted.items() if number]
    return f"{' and '.join(phrases)} of {len(comparison.runs)} runs" if phrases else ""


router = APIRouter()

RECENT_RUNS, MOST_OFFERED = 8, 3


@router.get("/")
def home(request: Request, store: StoreDep, service: RunServiceDep) -> Response:
    """Show the home page."""
    recent = store.runs(limit=RECENT_RUNS)
    applications = service.applications()
    key = new_idempotency_key()
    rows = [
        run_list_row(run, None if run.state.terminal else service.progress(run.id))
        for run in recent.runs
    ]
    shown = HomePage(
        running=running_view(service),
        applications=tuple(
            OfferedApplication(
                known.name, service.first_request(known), known.app or " ".join(known.command)
            )
            for known in applications[:MOST_OFFERED]
        ),
        more_applications=max(0, len(applications) - MOST_OFFERED),
        cards=cards(store, service, key),
        strategies=tuple(STRATEGIES),
        configurations=service.configurations.all(),
        time=preset_time("items", service),
        key=key,
        rows=tuple(rows),
        total=recent.total,
    )
    return page(request, shown)


@router.get("/running")
def running(request: Request, service: RunServiceDep) -> Response:
    """Return what is running now, for a page that asks again."""
    return fragment(request, running_view(service))


@router.post("/questions/{slug}")
def ask(
    slug: Annotated[str, Path(max_length=40)], form: FormDep, service: RunServiceDep
) -> Response:
    """Submit one run for each arm of the question, then show all side by side."""
    documents = [arm.document for arm in preset_catalogue().question(slug).arms]
    return redirect_to_runs(service.submit(documents, key=idempotency_key(form)))
