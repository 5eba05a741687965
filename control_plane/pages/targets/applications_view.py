"""The applications of the settings: how each is configured, and whether it starts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from control_plane.analysis.field_labels import Fact
from control_plane.domain.application_report import Checkup
from control_plane.jobs.run_service import Application, RunService
from control_plane.pages.site import View


@dataclass(frozen=True)
class ApplicationRow:
    """`summary`: how it is configured, in a line; `command`: what a first run would start."""

    name: str
    summary: str
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


def application_page(application: Application, service: RunService) -> ApplicationPage:
    """Return the page of an application: how it is configured, and how its last look went."""
    return ApplicationPage(
        application.name,
        serving_words(application),
        tuple(_facts(application, service)),
        checkup_view(application, service),
    )


def checkup_view(application: Application, service: RunService) -> CheckupView:
    """Return how the last look at an application went, or how it goes."""
    name = application.name
    return CheckupView(name, service.application_checks.latest(name))


def serving_words(application: Application) -> str:
    """Return `shop:app, made by a factory`, or its command line."""
    if application.command:
        return " ".join(application.command)
    return f"{application.app}, made by a factory" if application.factory else application.app


def application_rows(service: RunService) -> tuple[ApplicationRow, ...]:
    """Return a row for each application of the settings, by name."""
    return tuple(
        ApplicationRow(
            application.name, _summary(application), service.default_command(application)
        )
        for application in service.applications()
    )


def _summary(application: Application) -> str:
    where = f"in {application.directory}"
    ready = f"ready when {application.ready_path} answers"
    how = "By its own command" if application.command else serving_words(application)
    return f"{how}, {where}, {ready}."


def _facts(application: Application, service: RunService) -> Iterator[Fact]:
    """Yield how it is configured; of variables the names alone, and whether they are set."""
    yield Fact("Command" if application.command else "Application", serving_words(application))
    yield Fact("Interpreter", str(application.python or "Looplab's own"))
    yield Fact("Directory", str(application.directory))
    unset = service.unset_variables(application)
    passed = [f"{name} (not set)" if name in unset else name for name in application.passed_on]
    fixed = [f"{name} (fixed)" for name in application.environment]
    yield Fact("Variables", ", ".join([*passed, *fixed]) or "none beyond the usual ones")
    if application.env_file:
        yield Fact("File of variables", str(application.env_file))
    yield Fact("Ready when", f"GET {application.ready_path} answers below 500")
    yield Fact("Start timeout", f"{application.start_timeout_s:g} s")
