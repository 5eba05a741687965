"""The applications of the settings: how each is configured, and whether it starts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from control_plane.analysis.field_labels import Fact
from control_plane.domain.application_report import Checkup
from control_plane.jobs.run_service import Application, RunService
from control_plane.pages.site.dependencies import RunServiceDep
from control_plane.pages.site.templating import fragment, page
from control_plane.pages.site.view import View

router = APIRouter(prefix="/targets/applications")


@dataclass(frozen=True)
class ApplicationRow:
    """`told`: how it is configured, in a line; `command`: what a first run would start."""

    name: str
    told: str
    command: str


@dataclass(frozen=True)
class CheckupView(View):
    """`checkup` None: nobody has looked since Looplab was started."""

    template: ClassVar[str] = "partials/checkup.html"
    name: str
    checkup: Checkup | None


@dataclass(frozen=True)
class ApplicationPage(View):
    template: ClassVar[str] = "pages/application.html"
    name: str
    serving: str
    facts: tuple[Fact, ...]
    checkup: CheckupView


@router.get("/{name}")
def application(request: Request, name: str, service: RunServiceDep) -> Response:
    found = service.application(name)
    shown = ApplicationPage(
        found.name, serving_words(found), tuple(_facts(found, service)), _view(service, name)
    )
    return page(request, shown)


@router.get("/{name}/checkup")
def checkup(request: Request, name: str, service: RunServiceDep) -> Response:
    return fragment(request, _view(service, service.application(name).name))


@router.post("/{name}/checkup")
async def look(name: str, service: RunServiceDep) -> Response:
    """Begin a look; its page shows how it goes. 409 while a run measures."""
    found = service.application(name)
    service.application_checks.start(found)
    return RedirectResponse(f"/targets/applications/{quote(found.name)}#checkup", 303)


@router.post("/{name}/start")
async def start(name: str, service: RunServiceDep) -> Response:
    """By hand, for a look; it makes way for every measurement."""
    await service.start_manual_target(name)
    return RedirectResponse("/targets#by-hand", 303)


def serving_words(one: Application) -> str:
    """`shop:app, made by a factory`; its command line."""
    if one.command:
        return " ".join(one.command)
    return f"{one.app}, made by a factory" if one.factory else one.app


def application_rows(service: RunService) -> tuple[ApplicationRow, ...]:
    """One for each application of the settings, by name."""
    return tuple(
        ApplicationRow(one.name, _told(one), service.default_command(one))
        for one in service.applications()
    )


def _told(one: Application) -> str:
    where = f"in {one.directory}"
    ready = f"ready when {one.ready_path} answers"
    return f"{'By its own command' if one.command else serving_words(one)}, {where}, {ready}."


def _view(service: RunService, name: str) -> CheckupView:
    return CheckupView(name, service.application_checks.latest(name))


def _facts(one: Application, service: RunService) -> Iterator[Fact]:
    """Of variables the names alone, and whether they are set."""
    yield Fact("Command" if one.command else "Application", serving_words(one))
    yield Fact("Interpreter", str(one.python or "Looplab's own"))
    yield Fact("Directory", str(one.directory))
    unset = service.unset_variables(one)
    passed = [f"{name} (not set)" if name in unset else name for name in one.passed_on]
    fixed = [f"{name} (fixed)" for name in one.environment]
    yield Fact("Variables", ", ".join([*passed, *fixed]) or "none beyond the usual ones")
    if one.env_file:
        yield Fact("File of variables", str(one.env_file))
    yield Fact("Ready when", f"GET {one.ready_path} answers below 500")
    yield Fact("Start timeout", f"{one.start_timeout_s:g} s")
