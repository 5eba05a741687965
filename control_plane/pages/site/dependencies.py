"""What pages take from the application and the request."""

from typing import Annotated

from fastapi import Depends, Request

from control_plane.domain.ids import known_id
from control_plane.jobs.run_service import Desk
from control_plane.store.store import Store


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


StoreDep = Annotated[Store, Depends(_store)]
DeskDep = Annotated[Desk, Depends(_desk)]
RunId = Annotated[str, Depends(known_id)]
