"""GET /targets: the configurations, what each is for, and the command that starts it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from fastapi import APIRouter, Request, Response

from control_plane.domain.servers import ASGI_SERVERS, worker_class
from control_plane.domain.spec import Target
from control_plane.jobs.run_service import RunService
from control_plane.pages.form.form_data import new_idempotency_key
from control_plane.pages.site.dependencies import RunServiceDep, StoreDep
from control_plane.pages.site.templating import page
from control_plane.pages.site.view import View
from control_plane.pages.targets.applications import ApplicationRow, application_rows
from control_plane.pages.targets.ceilings import CeilingsView, ceilings_view, measuring_time
from control_plane.pages.targets.manual_targets import ManualTargetsView, manual_targets_view

router = APIRouter()

_PURPOSES = (
    ("loop", "asyncio", "The event loop of the standard library, to see what uvloop brings."),
    ("http", "h11", "The HTTP parser in Python, to see what httptools brings."),
    ("threads", 4, "A small thread pool: endpoints in plain def soon wait for a thread."),
    ("threads", 200, "A large thread pool: many endpoints in plain def at once."),
    ("access_log", True, "One log line for each request, as many servers run."),
    ("reload", True, "The development server, which watches files while it serves."),
    ("reuse_port", True, "Each worker has a listener of its own; the kernel spreads connections."),
)


@dataclass(frozen=True)
class ConfigurationRow:
    """`missing_extra`: what installs its server; None where it is there. `builtin`: it stays."""

    name: str
    purpose: str
    command: str
    available: bool
    missing_extra: str | None
    builtin: bool


@dataclass(frozen=True)
class ServerGroup:
    name: str
    about: str
    rows: tuple[ConfigurationRow, ...]


@dataclass(frozen=True)
class TargetsPage(View):
    template: ClassVar[str] = "pages/targets.html"
    servers: tuple[ServerGroup, ...]
    applications: tuple[ApplicationRow, ...]
    ceilings: CeilingsView
    time: str
    key: str
    by_hand: ManualTargetsView


@router.get("/targets")
def targets(request: Request, store: StoreDep, service: RunServiceDep) -> Response:
    servers = tuple(
        ServerGroup(name, server.purpose, _rows(service, name))
        for name, server in ASGI_SERVERS.items()
    )
    measured = ceilings_view(store, service)
    own, time = application_rows(service), measuring_time(service)
    shown = manual_targets_view(service)
    return page(request, TargetsPage(servers, own, measured, time, new_idempotency_key(), shown))


def _rows(service: RunService, server: str) -> tuple[ConfigurationRow, ...]:
    return tuple(
        ConfigurationRow(
            one.name,
            _purpose(one.target),
            service.server_command(one.target),
            one.available,
            one.missing_extra,
            one.builtin,
        )
        for one in service.configurations.all()
        if one.target.server == server
    )


def _purpose(target: Target) -> str:
    return " ".join(_parts(target)) or "One process: begin here."


def _parts(target: Target) -> Iterator[str]:
    many = target.workers or 1
    if many == 2:
        yield "Two processes: for work that one core cannot hold."
    elif many > 2:
        yield f"{many} processes: more than two only where there are cores for them."
    if worker := worker_class(target.server, target.worker):
        yield worker.purpose
    for name, value, text in _PURPOSES:
        if getattr(target, name) == value:
            yield text
