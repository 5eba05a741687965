"""POST /api/login-addresses: who may come in."""

from fastapi import APIRouter, Request

from control_plane.access.login import Login
from control_plane.domain.errors import Conflict
from control_plane.domain.spec_json import Document

router = APIRouter(tags=["access"])


@router.post("/login-addresses", status_code=201)
def make_login_address(request: Request) -> Document:
    """Return the path of an address that logs a browser in as operator, once, within an hour.

    409 where the dashboard asks for no login.
    """
    login: Login | None = request.state.login
    if login is None:
        raise Conflict("This dashboard asks for no login.")
    return {"path": login.new_address()}
