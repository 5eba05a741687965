"""The home page: what is running, the questions with their last answers, recent runs."""

from dataclasses import dataclass
from typing import ClassVar

from fastapi import APIRouter, Request, Response

from control_plane.dependencies import RunServiceDep, StoreDep
from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.units import about
from control_plane.experiments import preset_catalogue
from control_plane.experiments.experiment_file import bundled_experiments
from control_plane.jobs.run_service import Configuration, RunService
from control_plane.pages.experiment_cards import AnswersDep, ExperimentCard, experiment_cards
from control_plane.pages.form import new_idempotency_key
from control_plane.pages.run_rows import RunListGroup, phase_text, run_list_groups
from control_plane.pages.site import View
from control_plane.pages.site.templating import fragment, page


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
class OfferedApplication:
    """An application of the settings, with the path that a first run asks for.

    `serves`: its import string or command.
    """

    name: str
    path: str
    serves: str


@dataclass(frozen=True)
class HomePage(View):
    """`applications`: the first of those of the settings; `more_applications` counts the others.

    `versions`: the names of all of them, of which two may be one before and after a change.
    """

    template: ClassVar[str] = "pages/home.html"
    running: RunningView
    applications: tuple[OfferedApplication, ...]
    more_applications: int
    versions: tuple[str, ...]
    cards: tuple[ExperimentCard, ...]
    more_experiments: int
    configurations: tuple[Configuration, ...]
    strategies: tuple[str, ...]
    time: str
    key: str
    groups: tuple[RunListGroup, ...]
    total: int

    @property
    def answers(self) -> bool:
        """Whether a card shows bars that have a length."""
        answers = [card.answer for card in self.cards if card.answer]
        return any(bar.share for answer in answers for bar in answer.bars)


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


def preset_time(name: str, service: RunService) -> str:
    """Return how long a preset takes, such as `50 s`."""
    return about(service.expected_seconds(service.check(preset_catalogue().preset(name).document)))


router = APIRouter(include_in_schema=False)

MOST_OFFERED, MOST_CARDS, RECENT = 3, 6, 7
RUNS_LOOKED_AT = 40
"""Enough for so many rows where some are experiments, whose arms share one."""


@router.get("/")
def home(
    request: Request, store: StoreDep, service: RunServiceDep, answers: AnswersDep
) -> Response:
    """Show the home page."""
    recent = store.runs(limit=RUNS_LOOKED_AT)
    applications = service.applications()
    key = new_idempotency_key()
    shown = HomePage(
        running=running_view(service),
        applications=tuple(
            OfferedApplication(
                known.name,
                service.openapi_cache.first_request(known),
                known.app or " ".join(known.command),
            )
            for known in applications[:MOST_OFFERED]
        ),
        more_applications=max(0, len(applications) - MOST_OFFERED),
        versions=tuple(known.name for known in applications),
        cards=experiment_cards(store, service, answers, MOST_CARDS),
        more_experiments=len(bundled_experiments()),
        strategies=tuple(STRATEGIES),
        configurations=service.configurations.all(),
        time=preset_time("items", service),
        key=key,
        groups=run_list_groups(recent.runs, store, service, answers)[:RECENT],
        total=recent.total,
    )
    return page(request, shown)


@router.get("/running")
def running(request: Request, service: RunServiceDep) -> Response:
    """Return what is running now, for a page that asks again."""
    return fragment(request, running_view(service))
