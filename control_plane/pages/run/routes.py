"""One run: live while it is under way, its result after; cancel it, run it again."""

import secrets
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from control_plane.dependencies import RunId, RunServiceDep, StoreDep
from control_plane.domain.errors import Conflict
from control_plane.domain.run import DeletedRun, RunDetail
from control_plane.jobs.run_service import RunService
from control_plane.pages.compare_query import CompareQuery, suggested_runs
from control_plane.pages.new_run.preview import run_command
from control_plane.pages.run.live import live_view
from control_plane.pages.run.run_view import RunPage, run_page
from control_plane.pages.run.why_view import ceiling_part, why_view
from control_plane.pages.site import View
from control_plane.pages.site.templating import page
from control_plane.pages.urls import run_url
from control_plane.store.deletions import KEPT_DAYS
from control_plane.store.store import Store


@dataclass(frozen=True)
class DeletedRunPage(View):
    """What is left of a deleted run, which can be put back for some days."""

    template: ClassVar[str] = "pages/deleted_run.html"
    gone: DeletedRun
    days: int


router = APIRouter(include_in_schema=False)

TrialNumber = Annotated[str | None, Query(pattern=r"^[1-9][0-9]{0,2}$")]
FormKey = Annotated[str, Form(max_length=64)]


@router.get("/runs/{run_id}")
def run(
    request: Request,
    run_id: RunId,
    store: StoreDep,
    service: RunServiceDep,
    trial: TrialNumber = None,
) -> HTMLResponse:
    """Show a run: live while it is under way, else its result; of a deleted one what is left."""
    if gone := store.tombstone(run_id):
        return page(request, DeletedRunPage(gone, KEPT_DAYS), 404)
    stored = store.run(run_id)
    if not stored.state.terminal:
        return page(request, live_view(stored, service, store.experiment_of(run_id)))
    return page(request, result_view(store.detail(run_id, slices=True), store, service, trial))


@router.post("/runs/{run_id}/cancel")
async def cancel(run_id: RunId, service: RunServiceDep) -> RedirectResponse:
    """Cancel a run; one that ended in the meantime shows its result."""
    try:
        await service.cancel(run_id)
    except Conflict:
        return _to(run_id)
    return _to(run_id)


@router.post("/runs/{run_id}/again")
def again(
    run_id: RunId, store: StoreDep, service: RunServiceDep, key: FormKey = ""
) -> RedirectResponse:
    """Start the same spec as a new run, once for each time the page was shown."""
    return _to(service.rerun(store.run(run_id), key=key or None).id)


def result_view(detail: RunDetail, store: Store, service: RunService, trial: str | None) -> RunPage:
    """Return the page of a run that is over."""
    shown = run_page(
        detail,
        trial=int(trial) if trial else None,
        others=suggested_runs(store, detail.run, CompareQuery((detail.run.id,), detail.run.id)),
        key=secrets.token_urlsafe(12),
    )
    client = ceiling_part(detail.run, store, service)
    why = why_view(detail, service.limits)
    command = run_command(service.database)
    return replace(
        shown,
        why=why,
        client=client,
        hints=service.hints(detail.run),
        command=command,
        experiment=store.experiment_of(detail.run.id),
        pin=store.pin_of(detail.run.id),
    )


def _to(run_id: str) -> RedirectResponse:
    return RedirectResponse(run_url(run_id), 303)
