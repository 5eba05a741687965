"""GET /workloads: what the bundled application serves, each endpoint ready for a run."""

from dataclasses import dataclass
from typing import ClassVar

from fastapi import APIRouter, Request, Response

from control_plane.pages.templating import page
from control_plane.pages.view import View
from control_plane.pages.workload_book import Workload, workloads

router = APIRouter()


@dataclass(frozen=True)
class WorkloadsPage(View):
    template: ClassVar[str] = "pages/workloads.html"
    workloads: tuple[Workload, ...]


@router.get("/workloads")
def workloads_page(request: Request) -> Response:
    return page(request, WorkloadsPage(workloads()))
