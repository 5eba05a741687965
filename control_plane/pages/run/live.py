"""The part of a live page that is asked for again each second."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from control_plane.domain.result import Progress
from control_plane.domain.run import Run
from control_plane.jobs.desk import Desk
from control_plane.pages.run.live_view import LiveFragment, LivePage, live_fragment
from control_plane.pages.run.streams_table import load_words
from control_plane.pages.run.ticks import Ticks
from control_plane.pages.site.dependencies import DeskDep, RunId, StoreDep
from control_plane.pages.site.templating import NO_STORE, fragment

router = APIRouter(include_in_schema=False)

OVER = {**NO_STORE, "HX-Refresh": "true"}
"""Tells htmx to load the page again: the result stands at the same address."""


def _ticks(request: Request) -> Ticks:
    ticks: Ticks = request.app.state.ticks
    return ticks


TicksDep = Annotated[Ticks, Depends(_ticks)]


@router.get("/runs/{run_id}/live")
def live(
    request: Request, run_id: RunId, store: StoreDep, desk: DeskDep, ticks: TicksDep
) -> Response:
    def made() -> bytes:
        run = store.run(run_id)
        return b"" if run.state.terminal else bytes(fragment(request, shown(run, desk)).body)

    body = ticks.shared(run_id, made)
    return HTMLResponse(body, headers=NO_STORE) if body else Response(status_code=204, headers=OVER)


def live_view(run: Run, desk: Desk) -> LivePage:
    loads = tuple(load_words(stream) for stream in run.spec.workload.streams)
    return LivePage(run=run, loads=loads, live=shown(run, desk))


def shown(run: Run, desk: Desk) -> LiveFragment:
    progress = desk.progress(run.id) or _between(run)
    return live_fragment(run, progress, desk.live(run.id), desk.expected_phases(run.spec))


def _between(run: Run) -> Progress:
    """For the moment in which the queue has taken or left the run, and no job shows it."""
    return Progress(run.state.value, 1, run.spec.trials, 0.0, None, None)
