"""The application put together: routers, guards, and what happens to errors."""

import asyncio
import logging
import math
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from itertools import chain
from typing import Any, TypedDict

import psutil
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send

from control_plane import __version__
from control_plane.access import add_guards
from control_plane.access.compression import StaticAssets
from control_plane.access.http_errors import code_of, code_of_status, status_of
from control_plane.access.login import Guesses, Login
from control_plane.access.route_roles import methods_at, refuse_unlisted, route_names
from control_plane.api import api_routes
from control_plane.api.dashboard import Metrics, count_requests
from control_plane.api.dashboard import router as monitoring
from control_plane.dependencies import spec_schemas
from control_plane.domain.errors import (
    ComeAgain,
    FieldError,
    InvalidInput,
    LooplabError,
    MachineBusy,
    SettingsError,
    StoreError,
    TooManyGuesses,
)
from control_plane.domain.target_addresses import ALLOWED_TARGETS
from control_plane.jobs import Runtime
from control_plane.jobs.run_service import RunService
from control_plane.pages import page_routes
from control_plane.pages.site import PageMemory, PollingPace
from control_plane.pages.urls import SHARED
from control_plane.settings import Settings
from control_plane.store.share_links import SharedFiles
from control_plane.store.store import Store


class LifespanState(TypedDict):
    """What each request finds in `request.state`."""

    settings: Settings
    store: Store
    service: RunService
    metrics: Metrics
    page_memory: PageMemory
    login: Login | None
    guesses: Guesses
    pace: PollingPace
    shared_files: SharedFiles


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[LifespanState]]

INTERNET = (socket.AF_INET, socket.AF_INET6)
MONITORED = {"/healthz", "/metrics"}

log = logging.getLogger("looplab")


def create_app(
    settings: Settings, store: Store, runtime: Runtime, login: Login | None = None
) -> FastAPI:
    """Return the whole dashboard over an open store; without a login everybody may do all.

    Raises SettingsError where everybody could aim load at other machines.
    """
    if settings.limits.allowed_targets and login is None:
        raise SettingsError(f"{ALLOWED_TARGETS} takes a login: ask for one with --token.")
    metrics = Metrics()
    app = FastAPI(
        title="Looplab",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        # Flat: routers that are included are built once more.
        routes=[*monitoring.routes],
        lifespan=_lifespan(settings, store, runtime, metrics, login),
    )
    app.router.default = LateRouter(api_routes, "/api/", LateRouter(page_routes))
    app.mount("/static", StaticAssets(settings.static_dir, _loads), name="static")
    app.add_exception_handler(LooplabError, _looplab_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _internal_error)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign] # FastAPI's own way
    add_guards(app, host_names(settings), login, _refused, _loads)
    count_requests(app, metrics)
    return app


def _lifespan(
    settings: Settings,
    store: Store,
    runtime: Runtime,
    metrics: Metrics,
    login: Login | None,
) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[LifespanState]:
        service = RunService(store, settings.limits, runtime)
        try:
            yield {
                "settings": settings,
                "store": store,
                "service": service,
                "metrics": metrics,
                "page_memory": PageMemory(),
                "shared_files": SharedFiles(),
                "login": login,
                "guesses": Guesses(),
                "pace": PollingPace(len(os.sched_getaffinity(0))),
            }
        finally:
            await service.close()

    return lifespan


class LateRouter:
    """Serves routes that are read after the start: at their first request, or before it.

    All their paths begin with `prefix`. What is none of theirs goes to `after`, or is not found.
    Raises LookupError, when it reads them, for a route that the policy does not list, and serves
    none of them.
    """

    def __init__(
        self,
        read: Callable[[], Sequence[BaseRoute]],
        prefix: str = "/",
        after: "LateRouter | None" = None,
    ) -> None:
        self._read, self._prefix, self.after = read, prefix, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.after and not scope["path"].startswith(self._prefix):
            await self.after(scope, receive, send)
            return
        if "router" not in vars(self):
            # In a thread, because a run may need the event loop meanwhile.
            await asyncio.to_thread(lambda: self.router)
        await self.router(scope, receive, send)

    @cached_property
    def router(self) -> Router:
        """The routes, with what finds the one of a request."""
        routes = self._read()
        refuse_unlisted(routes)
        return Router(routes, default=self.after)


def routes_of(app: FastAPI) -> Iterator[str]:
    """Yield each route as `METHOD path`, also those that are read late; mounts and HEAD are GET."""
    yield from route_names(all_routes(app))


def all_routes(app: FastAPI) -> Iterator[BaseRoute]:
    """Yield each route, also those that are read late."""
    yield from app.routes
    default: object = app.router.default
    while isinstance(default, LateRouter):
        yield from default.router.routes
        default = default.after


def _openapi(app: FastAPI) -> dict[str, Any]:
    if not app.openapi_schema:
        schema = get_openapi(title=app.title, version=app.version, routes=[*all_routes(app)])
        schema.setdefault("components", {}).setdefault("schemas", {}).update(spec_schemas())
        app.openapi_schema = schema
    return app.openapi_schema


def host_names(settings: Settings) -> set[str]:
    """Return the names by which the dashboard may be called, beside those of loopback.

    Of one that listens on all addresses these are the addresses and the name of the machine.
    """
    names = {settings.host, *settings.allowed_hosts}
    if settings.host in {"0.0.0.0", "::"}:
        addresses = chain.from_iterable(psutil.net_if_addrs().values())
        names |= {address.address for address in addresses if address.family in INTERNET}
        names.add(socket.gethostname())
    return names


def _loads(scope: Scope) -> bool:
    """Return whether a run has load now: processor time spent here counts against it."""
    service: RunService = scope["state"]["service"]
    return service.loads()


def _refused(scope: Scope, status: int, message: str) -> Response:
    """Say why a request is refused; where a login is lacking, with the form to log in."""
    request = Request(scope)
    if status == 401 and not _for_programs(request):
        from control_plane.pages.site.routes import login_page

        response: Response = login_page(request)
    else:
        code = "too_many_guesses" if status == 429 else code_of_status(status)
        response = _error_response(request, status, code, message)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _looplab_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, LooplabError)
    fields, message = error.fields if isinstance(error, InvalidInput) else (), str(error)
    if isinstance(error, StoreError):
        log.warning("%s: %s", _logged_path(request), error)
        message = error.plain
    response = _error_response(request, status_of(error), code_of(error), message, fields)
    if isinstance(error, TooManyGuesses | ComeAgain | MachineBusy):
        response.headers["Retry-After"] = str(math.ceil(error.wait_s))
    return response


def _logged_path(request: Request) -> str:
    """Return the path without the token of a share link."""
    path = request.url.path
    return f"{SHARED}/…" if path.startswith(f"{SHARED}/") else path


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    told: dict[str, FieldError] = {}
    for problem in error.errors():
        # Of a union each kind is told, as a part in brackets of the place.
        field = ".".join(str(part) for part in problem["loc"][1:] if "[" not in str(part))
        is_day = problem["type"].startswith("date_from")
        message = "Give a day as 2026-11-30." if is_day else problem["msg"]
        told.setdefault(field, FieldError(field, message))
    fields = tuple(told.values())
    message = f"{fields[0].field}: {fields[0].message}" if fields else "A field is wrong."
    return _error_response(request, 422, "invalid", message, fields)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers, message = dict(error.headers or {}), error.detail
    if error.status_code == 405:
        headers["Allow"] = ", ".join(methods_at(request.url.path))
        message = f"{request.method[:20]} is not taken here, but {headers['Allow']}."
    response = _error_response(
        request, error.status_code, code_of_status(error.status_code), message
    )
    response.headers.update(headers)
    return response


def _internal_error(request: Request, error: Exception) -> Response:
    reference = secrets.token_hex(3)
    log.error("%s on %s", reference, _logged_path(request), exc_info=error)
    message = f"Something went wrong here ({reference}); the log of Looplab says more."
    return _error_response(request, 500, "internal", message)


def _error_response(
    request: Request, status: int, code: str, message: str, fields: tuple[FieldError, ...] = ()
) -> Response:
    """JSON for programs, a page for people."""
    if _for_programs(request):
        listed = [
            {"field": field.field, "message": field.message, "limit": field.limit}
            for field in fields
        ]
        return JSONResponse({"error": code, "message": message, "fields": listed}, status)
    from control_plane.pages.site.templating import error_page

    return error_page(request, status, message, fields, code)


def _for_programs(request: Request) -> bool:
    path = request.url.path
    if request.headers.get("accept") == "application/json":
        return True
    return path.startswith("/api/") or path.endswith((".json", ".csv")) or path in MONITORED
