"""What pages take from the application and the request."""

from typing import Annotated

from fastapi import Depends, Request

from control_plane.domain.ids import checked_id
from control_plane.jobs.run_service import RunService
from control_plane.store.store import Store


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _service(request: Request) -> RunService:
    service: RunService = request.app.state.service
    return service


StoreDep = Annotated[Store, Depends(_store)]
RunServiceDep = Annotated[RunService, Depends(_service)]
RunId = Annotated[str, Depends(checked_id)]
