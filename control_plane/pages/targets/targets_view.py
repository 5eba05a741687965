"""The pages of the targets: how configurations are started, and what each client can send most."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from control_plane.analysis.client_ceiling import (
    CLIENTS,
    Ceiling,
    ceiling_client,
    ceiling_rate,
    ceiling_spec,
    ceilings_of,
    client_name,
    same_setup,
    strategy_order,
    trusted_first,
)
from control_plane.analysis.field_labels import Fact
from control_plane.applications_file import file_of, new_entry
from control_plane.domain.run import Run, State
from control_plane.domain.server_command_lines import APPLICATION_SERVERS, worker_class
from control_plane.domain.spec import Client, Target
from control_plane.domain.units import NONE, about, share
from control_plane.experiments import BundledWorkload
from control_plane.jobs.application_check import Checkup
from control_plane.jobs.manual_targets import ManualTarget
from control_plane.jobs.run_service import Application, RunService
from control_plane.pages.form import FormData, new_idempotency_key
from control_plane.pages.form.field_types import Section
from control_plane.pages.run_rows import phase_text
from control_plane.pages.site import View
from control_plane.store.store import Store


@dataclass(frozen=True)
class CeilingRow:
    """`run_id` measured `most`; run `busy_id` measures now or waits, and `busy` says how far."""

    name: str
    users: int
    most: str
    limit: str
    outcome: str | None
    run_id: str | None
    at: datetime | None
    busy_id: str | None
    busy: str


@dataclass(frozen=True)
class CeilingsView(View):
    """Asked for again while something of it is `measuring`."""

    template: ClassVar[str] = "partials/ceilings.html"
    rows: tuple[CeilingRow, ...]
    measuring: bool


def measuring_time(service: RunService) -> str:
    """Return how long it takes to measure every strategy."""
    return about(sum(service.expected_seconds(ceiling_spec(client)) for client in CLIENTS))


def ceilings_view(store: Store, service: RunService) -> CeilingsView:
    """Return a row for each strategy, and for each other client that was measured here."""
    here, known = service.environment(), dict[Client, Ceiling]()
    for ceiling in trusted_first(ceilings_of(store.responder_runs(State.FINISHED))):
        if same_setup(ceiling.environment, here):
            known.setdefault(ceiling.client, ceiling)
    open_runs = [run for run in reversed(store.responder_runs()) if not run.state.terminal]
    working = {ceiling_client(run.spec.client): run for run in open_runs}
    clients = sorted(dict.fromkeys([*CLIENTS, *known, *working]), key=strategy_order)
    rows = tuple(
        _row(client, known.get(client), working.get(client), service) for client in clients
    )
    return CeilingsView(rows, bool(working))


def _row(
    client: Client, known: Ceiling | None, working: Run | None, service: RunService
) -> CeilingRow:
    return CeilingRow(
        name=client_name(client),
        users=known.users if known else 0,
        most=ceiling_rate(known) if known else NONE,
        limit=_limit(known) if known else "not measured yet",
        outcome=known.outcome if known else None,
        run_id=known.run_id if known else None,
        at=known.measured_at if known else None,
        busy_id=working.id if working else None,
        busy=_how_far(working, service) if working else "",
    )


def _limit(ceiling: Ceiling) -> str:
    """Return why it is suspect, where it is, and what kept it from more."""
    busy = f"the responder used {share(ceiling.responder_cpu_share)} of its core"
    limit = f"{busy} and was at its limit" if ceiling.at_least else busy
    return f"{ceiling.doubt} {limit[:1].upper()}{limit[1:]}" if ceiling.doubt else limit


def _how_far(run: Run, service: RunService) -> str:
    progress = service.progress(run.id)
    return phase_text(run.spec, progress, service.live(run.id)) if progress else run.state.value


@dataclass(frozen=True)
class ApplicationRow:
    """`summary`: how it is configured, in a line; `command`: what a first run would start, empty
    where its interpreter was not asked yet.
    """

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
    if application.files:
        yield Fact("Files of its command", ", ".join(application.files))
    yield Fact("Ready when", f"GET {application.ready_path} answers {application.ready_text}")
    yield Fact("Host", application.host or "localhost with the port")
    yield Fact("Start timeout", f"{application.start_timeout_s:g} s")
    yield Fact("Stop timeout", f"{application.stop_timeout_s:g} s from SIGTERM to SIGKILL")


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
class ListedConfiguration:
    """`install`: the command that brings its server, empty where it is there.

    It has paths, and is for operators alone; others read which extra is missing. `builtin`: it
    stays. `wsgi`: it serves applications of the settings only.
    """

    name: str
    purpose: str
    command: str
    available: bool
    install: str
    missing_extra: str | None
    builtin: bool
    wsgi: bool


@dataclass(frozen=True)
class ServerGroup:
    name: str
    about: str
    rows: tuple[ListedConfiguration, ...]


@dataclass(frozen=True)
class ManualTargetsView(View):
    """The targets that were started by hand, the newest first."""

    template: ClassVar[str] = "partials/manual_targets.html"
    started: tuple[ManualTarget, ...]


@dataclass(frozen=True)
class NewApplication:
    """What was typed of an application to add, and its lines of `file`, or what is `wrong`.

    `fault` says what is wrong with that file now; both texts may be empty.
    """

    name: str
    serves: str
    directory: str
    python: str
    lines: str
    wrong: str
    file: str
    fault: str


@dataclass(frozen=True)
class TargetsPage(View):
    """`time`: how long it takes to measure the ceiling of every strategy."""

    template: ClassVar[str] = "pages/targets.html"
    servers: tuple[ServerGroup, ...]
    applications: tuple[ApplicationRow, ...]
    adding: NewApplication
    ceilings: CeilingsView
    time: str
    key: str
    manual_targets: ManualTargetsView


@dataclass(frozen=True)
class RemovePage(View):
    template: ClassVar[str] = "pages/remove_configuration.html"
    name: str


@dataclass(frozen=True)
class ConfigurationPage(View):
    """The parts of a new configuration; `wrong` holds messages by field name."""

    template: ClassVar[str] = "pages/configuration.html"
    focuses_wrong: ClassVar[bool] = True
    form: FormData
    wrong: dict[str, str]
    sections: Mapping[str, Section]


@dataclass(frozen=True)
class WorkloadsPage(View):
    template: ClassVar[str] = "pages/workloads.html"
    workloads: tuple[BundledWorkload, ...]


def new_application(
    service: RunService, name: str, serves: str, directory: str, python: str
) -> NewApplication:
    """Return the lines of the settings for what was typed; none before anything was."""
    known, lines, wrong = service.applications_by_name, "", ""
    if name or serves:
        lines, wrong = new_entry(known, name, serves, directory, python)
    file, fault = file_of(known)
    return NewApplication(name, serves, directory, python, lines, wrong, file, fault)


def targets_page(store: Store, service: RunService, adding: NewApplication) -> TargetsPage:
    """Return the configurations by server, the applications and the client ceilings."""
    return TargetsPage(
        servers=tuple(
            ServerGroup(name, server.purpose, _rows(service, name))
            for name, server in APPLICATION_SERVERS.items()
        ),
        applications=application_rows(service),
        adding=adding,
        ceilings=ceilings_view(store, service),
        time=measuring_time(service),
        key=new_idempotency_key(),
        manual_targets=manual_targets_view(service),
    )


def manual_targets_view(service: RunService) -> ManualTargetsView:
    """Return the targets that were started by hand."""
    return ManualTargetsView(service.manual_targets.all()[::-1])


def _rows(service: RunService, server: str) -> tuple[ListedConfiguration, ...]:
    return tuple(
        ListedConfiguration(
            name=configuration.name,
            purpose=" ".join(_purposes(configuration.target)) or "One process: begin here.",
            command=service.server_command(configuration.target),
            available=configuration.available,
            install=configuration.install,
            missing_extra=configuration.missing_extra,
            builtin=configuration.builtin,
            wsgi=configuration.wsgi,
        )
        for configuration in service.configurations.all()
        if configuration.target.server == server
    )


def _purposes(target: Target) -> Iterator[str]:
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
