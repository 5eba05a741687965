"""What the endpoints of pages and API take from the application and the request."""

from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import AfterValidator

from control_plane.domain.ids import checked_id
from control_plane.jobs.run_service import RunService
from control_plane.store.store import Store


def _store(request: Request) -> Store:
    store: Store = request.state.store
    return store


def _service(request: Request) -> RunService:
    service: RunService = request.state.service
    return service


StoreDep = Annotated[Store, Depends(_store)]
RunServiceDep = Annotated[RunService, Depends(_service)]
RunId = Annotated[str, Path(description="Ten characters."), AfterValidator(checked_id)]
ExperimentId = Annotated[str, Path(description="Ten characters.", max_length=20)]
