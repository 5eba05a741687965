"""What operators and monitors ask of a dashboard: its health, metrics, who did what, a way in.

Also what a spec can name as its target, and what each client can do at most on this machine.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_plane import __version__
from control_plane.access.login import Login
from control_plane.dependencies import RunServiceDep, StoreDep, api_router
from control_plane.domain.errors import Conflict
from control_plane.domain.run import State
from control_plane.domain.spec_json import Document

COUNTED_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""The methods that are counted by their name; a client may send any word."""
LATENCY_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The metrics of one dashboard, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("looplab_build", "The version that runs.", registry=registry).info(
            {"version": __version__}
        )
        self._runs = Gauge("looplab_runs", "Stored runs by state.", ["state"], registry=registry)
        self._queue = Gauge("looplab_queue_length", "Runs that wait.", registry=registry)
        self._measuring = Gauge(
            "looplab_measuring",
            "1 while a run starts, warms up, is measured or is evaluated, 0 otherwise.",
            registry=registry,
        )
        self._requests = Counter(
            "looplab_http_requests",
            "HTTP requests to the dashboard.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._latency = Histogram(
            "looplab_http_request_duration_seconds",
            "From the request's head until the response is handed over.",
            ["method", "route"],
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )

    def count_request(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count one request. `route` is a template such as `/runs/{run_id}`, never a raw path."""
        self._requests.labels(method, route, status).inc()
        self._latency.labels(method, route).observe(duration_s)

    def exposition(self, runs: Mapping[State, int]) -> bytes:
        """Return all metrics in the text format of Prometheus. `runs`: how many, by state."""
        for state in State:
            self._runs.labels(state.value).set(runs.get(state, 0))
        self._queue.set(runs.get(State.QUEUED, 0))
        self._measuring.set(any(state.active and count for state, count in runs.items()))
        return generate_latest(self.registry)


class RequestCounter:
    """The application with each of its HTTP requests counted, those that guards refuse too."""

    def __init__(self, inside: ASGIApp, metrics: Metrics, paths: Mapping[Any, str]) -> None:
        self._inside, self._metrics, self._paths = inside, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inside(scope, receive, send)
            return
        status, begin = 500, time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._inside(scope, receive, watched)
        finally:
            method = scope["method"] if scope["method"] in COUNTED_METHODS else "other"
            route = scope.get("route")
            path = route.path if route else self._paths.get(scope.get("endpoint"), "unmatched")
            self._metrics.count_request(method, path, status, time.perf_counter() - begin)


def count_requests(app: FastAPI, metrics: Metrics) -> None:
    """Count the requests of the whole application, in front of all that is around it."""
    # FastAPI tells the route of a request in its scope, Starlette only what it calls.
    paths: dict[Any, str] = {
        route.app if isinstance(route, Mount) else route.endpoint: route.path
        for route in app.routes
        if isinstance(route, Mount | Route)
    }
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: (  # type: ignore[method-assign] # outside of all
        RequestCounter(build(), metrics, paths)
    )


async def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.state.metrics
    return metrics


MetricsDep = Annotated[Metrics, Depends(_metrics)]

router = APIRouter(tags=["monitoring"])


@router.get("/healthz", summary="Show the health of the dashboard")
def healthz(service: RunServiceDep) -> Document:
    """Return name, version, pid and queue.

    `name` tells another start that this port is a Looplab.
    """
    status = service.queue_status()
    return {
        "name": "looplab",
        "version": __version__,
        "pid": os.getpid(),
        "running": status.running.id if status.running else None,
        "queued": status.queued,
    }


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    summary="Show the metrics of the dashboard, for Prometheus",
)
def metrics(metrics: MetricsDep, store: StoreDep) -> Response:
    """Runs by state, queue, requests to the dashboard and its process, for Prometheus.

    One scrape takes one query over an index and, with 1,000 runs, less than 5 ms of processor time
    of the dashboard, which steps behind target and clients.
    """
    text = metrics.exposition(store.count_by_state())
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


access = api_router("access")


@access.get("/audit", summary="List who did what")
def audit(store: StoreDep, limit: Annotated[int, Query(ge=1, le=1_000)] = 100) -> Document:
    """Return who started, cancelled and deleted what, the newest first.

    `who` is the name of the login, `from` the address; an entry has the id of a `run` or, for all
    of its runs, of an `experiment`.
    """
    return {"entries": [entry.document() for entry in store.audit(limit)]}


@access.post("/login-addresses", status_code=201, summary="Make an address that logs a browser in")
def make_login_address(request: Request) -> Document:
    """Return the path of an address that logs a browser in as operator, once, within an hour.

    409 where the dashboard asks for no login.
    """
    login: Login | None = request.state.login
    if login is None:
        raise Conflict("This dashboard asks for no login.")
    return {"path": login.new_address()}


targets = api_router()


@targets.get("/applications", tags=["applications"], summary="List your own applications")
def applications(service: RunServiceDep) -> list[Document]:
    """Those of the settings, by name. `server` is `command`, or null where a spec chooses one."""
    return [
        {
            "name": application.name,
            "server": "command" if application.command else None,
            "ready_path": application.ready_path,
            "start_timeout_s": application.start_timeout_s,
        }
        for application in service.applications()
    ]


@targets.get("/configurations", tags=["configurations"], summary="List the configurations")
def configurations(service: RunServiceDep) -> list[Document]:
    """The configurations that a spec can name, those that come with Looplab first."""
    return [
        {
            "name": configuration.name,
            "target": asdict(configuration.target),
            "builtin": configuration.builtin,
            "available": configuration.available,
            "missing_extra": configuration.missing_extra,
        }
        for configuration in service.configurations.all()
    ]


@targets.get("/ceilings", tags=["ceilings"], summary="List the client ceilings")
def ceilings(store: StoreDep, service: RunServiceDep) -> Document:
    """Return the stored ceilings, newest first.

    Of one client, the first with `here` true is the one that counts.

    `here`: measured on this machine with the present Python and client libraries. `at_least`: the
    responder was at its limit, so that the client can do more. Runs whose target is
    `{"configuration": "bare responder"}` make them: `run` names the one.
    """
    from control_plane.analysis.client_ceiling import ceiling_documents

    measured = store.responder_runs(State.FINISHED)
    return {"ceilings": ceiling_documents(measured, service.environment())}
