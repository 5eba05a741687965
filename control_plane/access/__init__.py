"""Who may send a request at all, and what every response carries."""

from collections.abc import Collection

from fastapi import FastAPI
from starlette.types import ASGIApp

from control_plane.access.middleware import (
    BodyLimitMiddleware,
    HeadMiddleware,
    HostMiddleware,
    OriginMiddleware,
    SecurityHeadersMiddleware,
)
from control_plane.access.route_roles import unlisted


def add_guards(app: FastAPI, names: Collection[str]) -> None:
    """Put the guards around the whole application, its own error pages included.

    `names`: the host names under which it may be called, beside those of loopback. Raises
    LookupError for a route that the policy does not list.
    """
    if forgotten := unlisted(app):
        raise LookupError(f"No role in access/route_roles.py for: {', '.join(forgotten)}.")
    build = app.build_middleware_stack

    def guarded_stack() -> ASGIApp:
        inside = OriginMiddleware(BodyLimitMiddleware(HeadMiddleware(build())))
        return SecurityHeadersMiddleware(HostMiddleware(inside, names))

    app.build_middleware_stack = guarded_stack  # type: ignore[method-assign] # outside of all
