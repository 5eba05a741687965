"""GET /targets/by-hand, POST /targets/start and /targets/stop: targets to look at."""

from dataclasses import dataclass
from typing import ClassVar

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from control_plane.domain.spec import NamedTarget
from control_plane.jobs.manual_targets import ManualTarget
from control_plane.jobs.run_service import RunService
from control_plane.pages.form.form_data import FormDep
from control_plane.pages.site.dependencies import RunServiceDep
from control_plane.pages.site.templating import fragment
from control_plane.pages.site.view import View

router = APIRouter()

WHERE = "/targets#by-hand"


@dataclass(frozen=True)
class ManualTargetsView(View):
    """The newest first."""

    template: ClassVar[str] = "partials/by_hand.html"
    started: tuple[ManualTarget, ...]


@router.get("/targets/by-hand")
def by_hand(request: Request, service: RunServiceDep) -> Response:
    return fragment(request, manual_targets_view(service))


@router.post("/targets/start")
async def start(form: FormDep, service: RunServiceDep) -> Response:
    name = form.text("name")
    target = await run_in_threadpool(service.configurations.resolve, NamedTarget(name))
    await service.manual_targets.start(name, target)
    return RedirectResponse(WHERE, 303)


@router.post("/targets/stop")
async def stop(form: FormDep, service: RunServiceDep) -> Response:
    await service.manual_targets.stop(form.text("name"))
    return RedirectResponse(WHERE, 303)


def manual_targets_view(service: RunService) -> ManualTargetsView:
    return ManualTargetsView(service.manual_targets.all()[::-1])
