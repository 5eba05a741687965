"""GET /api/audit and POST /api/login-addresses: who did what, and who may come in."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from control_plane.access.login import Login
from control_plane.dependencies import StoreDep
from control_plane.domain.errors import Conflict
from control_plane.domain.spec_json import Document

router = APIRouter(tags=["access"])


@router.get("/audit")
def audit(store: StoreDep, limit: Annotated[int, Query(ge=1, le=1_000)] = 100) -> Document:
    """Return who started, cancelled and deleted what, the newest first.

    `who` is the name of the login, `from` the address; an entry has the id of a `run` or, for all
    of its runs, of an `experiment`.
    """
    return {"entries": [entry.document() for entry in store.audit(limit)]}


@router.post("/login-addresses", status_code=201)
def make_login_address(request: Request) -> Document:
    """Return the path of an address that logs a browser in as operator, once, within an hour.

    409 where the dashboard asks for no login.
    """
    login: Login | None = request.state.login
    if login is None:
        raise Conflict("This dashboard asks for no login.")
    return {"path": login.new_address()}
