"""GET /, GET /running, POST /questions/{slug}."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from control_plane.domain.strategies import STRATEGIES
from control_plane.experiments.book import book
from control_plane.pages.form.sent import FormDep, key_of, new_key, to_runs
from control_plane.pages.history.run_rows import run_row
from control_plane.pages.home.home_view import HomePage, cards, preset_time, running_of
from control_plane.pages.site.dependencies import DeskDep, StoreDep
from control_plane.pages.site.templating import fragment, page

router = APIRouter()

RECENT = 8


@router.get("/")
def home(request: Request, store: StoreDep, desk: DeskDep) -> Response:
    recent = store.runs(limit=RECENT)
    key = new_key()
    rows = [
        run_row(run, None if run.state.terminal else desk.progress(run.id)) for run in recent.runs
    ]
    shown = HomePage(
        running=running_of(desk),
        cards=cards(store, desk, key),
        strategies=tuple(STRATEGIES),
        configurations=desk.configurations(),
        time=preset_time("items", desk),
        key=key,
        rows=tuple(rows),
        total=recent.total,
    )
    return page(request, shown)


@router.get("/running")
def running(request: Request, desk: DeskDep) -> Response:
    return fragment(request, running_of(desk))


@router.post("/questions/{slug}")
def ask(slug: Annotated[str, Path(max_length=40)], form: FormDep, desk: DeskDep) -> Response:
    """One run for each arm of the question; then all beside each other."""
    documents = [arm.document for arm in book().question(slug).arms]
    return to_runs(desk.submit(documents, key=key_of(form)))
