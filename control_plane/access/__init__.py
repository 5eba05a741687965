"""Who may send a request at all, and what every response carries."""

from collections.abc import Collection

from fastapi import FastAPI
from starlette.types import ASGIApp

from control_plane.access.compression import Busy, CompressionMiddleware
from control_plane.access.login import Login, LoginMiddleware, Refuse
from control_plane.access.middleware import (
    BodyLimitMiddleware,
    HostMiddleware,
    MethodsMiddleware,
    OriginMiddleware,
    SecurityHeadersMiddleware,
)
from control_plane.access.route_roles import refuse_unlisted


def add_guards(
    app: FastAPI,
    names: Collection[str],
    login: Login | None,
    refuse: Refuse,
    busy: Busy,
) -> None:
    """Put the guards around the whole application, its own error pages included.

    `names`: the host names under which it may be called, beside those of loopback. Without a
    `login` everybody may do everything; `refuse` makes the responses to those who may not. Nothing
    is compressed while it is `busy`. Raises LookupError for a route that the policy does not list;
    what is read late is refused then.
    """
    refuse_unlisted(app.routes)
    build = app.build_middleware_stack

    def guarded_stack() -> ASGIApp:
        inside = BodyLimitMiddleware(MethodsMiddleware(CompressionMiddleware(build(), busy)))
        checked = OriginMiddleware(LoginMiddleware(inside, login, refuse))
        return SecurityHeadersMiddleware(HostMiddleware(checked, names))

    app.build_middleware_stack = guarded_stack  # type: ignore[method-assign] # outside of all
