"""GET /workloads: what the bundled application serves, each endpoint ready for a run."""

from dataclasses import dataclass
from typing import ClassVar

from fastapi import APIRouter, Request, Response

from control_plane.experiments.bundled_endpoints import BundledWorkload, workloads
from control_plane.pages.site.templating import page
from control_plane.pages.site.view import View

router = APIRouter()


@dataclass(frozen=True)
class WorkloadsPage(View):
    template: ClassVar[str] = "pages/workloads.html"
    workloads: tuple[BundledWorkload, ...]


@router.get("/workloads")
def workloads_page(request: Request) -> Response:
    return page(request, WorkloadsPage(workloads()))
