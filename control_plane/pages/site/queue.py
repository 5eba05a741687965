"""GET /queue: how the queue stands, for the top bar."""

from fastapi import APIRouter, Request, Response

from control_plane.pages.site.dependencies import RunServiceDep
from control_plane.pages.site.shell import queue_view
from control_plane.pages.site.templating import fragment

router = APIRouter()


@router.get("/queue")
def queue(request: Request, service: RunServiceDep) -> Response:
    return fragment(request, queue_view(service))
