"""Whether the control plane works, for other starts of it and for monitors."""

import os

from fastapi import APIRouter

from control_plane import __version__
from control_plane.api.dependencies import RunServiceDep
from control_plane.domain.spec_json import Document

router = APIRouter(tags=["status"])


@router.get("/healthz")
def healthz(service: RunServiceDep) -> Document:
    """`name` tells another start that this port is a Looplab."""
    view = service.queue_status()
    return {
        "name": "looplab",
        "version": __version__,
        "pid": os.getpid(),
        "running": view.running.id if view.running else None,
        "queued": view.queued,
    }
