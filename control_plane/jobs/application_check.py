"""What is found out of an application between runs: whether it starts, and what it offers."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from control_plane.domain.errors import Conflict, InvalidInput, TargetFailed
from control_plane.domain.limits import Limits
from control_plane.domain.server_command_lines import APPLICATION_SERVERS
from control_plane.domain.spec import BUNDLED, AnyTarget, Target
from control_plane.domain.units import number_of
from control_plane.jobs import Runtime
from control_plane.jobs.manual_targets import STOP_GRACE_S
from control_plane.jobs.queue import IdleTasks
from control_plane.targets.application import (
    SUCCESS,
    Application,
    command_target,
    interface_in_source,
    missing_files,
    resolve_application,
)
from control_plane.targets.cores_and_run_environment import (
    CHECKOUT,
    application_revision,
    commit,
    commits_between,
)
from control_plane.targets.environment_variables import (
    missing_variables,
    unread_lines,
    unread_settings,
)
from control_plane.targets.http_get_and_delayed_ack import get
from control_plane.targets.interpreter_packages import (
    choice_to_install,
    default_target,
    serves,
    standing_in,
)
from control_plane.targets.launch import RunningTarget, start_application
from control_plane.targets.openapi_operations import Offer, operations_of

if TYPE_CHECKING:
    from control_plane.analysis.differences import MeasuredCommit

PATHS = ("/openapi.json", "/schema/openapi.json")
"""Where documents are by default: that of FastAPI and most others, then that of Litestar."""

MOST_KEPT = 50
_MAY_REFUSE_HOST = {400, 403, 421}


@dataclass(frozen=True)
class Finding:
    """What a check found of one thing. `remedy` says what to do, "" where nothing is wrong.

    `level` missing: it cannot start so; doubt: it starts, but something is not as it may be meant.
    """

    level: Literal["good", "doubt", "missing"]
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class Checkup:
    """A check of the application of that name: whether it starts, and what is missing.

    `outcome` None while it lasts; `stopped` when a run needed the machine. `command` is the line
    that started it, `ready_s` how long that took, `log` what it printed last.
    """

    application: str
    began_at: datetime
    outcome: Literal["starts", "fails", "stopped"] | None = None
    findings: tuple[Finding, ...] = ()
    command: str | None = None
    ready_s: float | None = None
    log: tuple[str, ...] = ()


class OpenApiCache:
    """The operations that targets offer. `entries` by application name or URL, for any thread."""

    def __init__(self, idle_tasks: IdleTasks, runtime: Runtime, limits: Limits) -> None:
        self._idle_tasks, self._runtime, self._limits = idle_tasks, runtime, limits
        self.entries: dict[str, Offer] = {}

    async def read(self, target: AnyTarget, form: str) -> Offer:
        """Start the application, or go to the URL, and read its OpenAPI document.

        `form`: key of the form that asks. Another look for it is given up, for others it is not
        done. Raises Conflict then, while a run measures, or when it was given up; InvalidInput with
        what is wrong with the response or the start.
        """
        of = target.url or str(target.application)

        async def work() -> None:
            self._keep(await self._read(target, of))

        task = await self._idle_tasks.begin(work, f"form {form}")
        try:
            await self._idle_tasks.wait(task, "read it again")
        except TargetFailed as fault:
            raise InvalidInput(f"Its OpenAPI document was not read. {fault}") from None
        return self.entries[of]

    def first_request(self, application: Application) -> str:
        """Return a path that it answers: the first GET of its OpenAPI document without values.

        Its ready path where that was not read yet, or has none.
        """
        offer = self.entries.get(application.name)
        plain = (
            operation.path
            for operation in (offer.operations if offer else ())
            if operation.method == "GET" and operation.request and not operation.note
            if not operation.request.get("values")
        )
        return next(plain, application.ready_path)

    def _keep(self, offer: Offer) -> None:
        self.entries.pop(offer.of, None)
        self.entries[offer.of] = offer
        while len(self.entries) > MOST_KEPT:
            del self.entries[next(iter(self.entries))]

    async def _read(self, target: AnyTarget, of: str) -> Offer:
        running = await self._running(target)
        try:
            return await self._offer(running, of)
        finally:
            await running.stop(STOP_GRACE_S)

    async def keep_of(self, running: RunningTarget, of: str) -> Offer:
        """Read the document of a target that runs, and keep it. Raises InvalidInput."""
        offer = await self._offer(running, of)
        self._keep(offer)
        return offer

    async def _offer(self, running: RunningTarget, of: str) -> Offer:
        statuses = []
        for path in PATHS:
            response = await get(running.url, path, running.host_header)
            if response.status == 200:
                read = await asyncio.to_thread(operations_of, response.body, self._limits)
                return Offer(of, datetime.now(UTC), *read)
            statuses.append(f"GET {path} answers {response.status}")
        raise InvalidInput(f"{', '.join(statuses)}: there is nothing to pick.")

    async def _running(self, target: AnyTarget) -> RunningTarget:
        started = target.started
        if started is None:
            return await self._runtime.reach(target)
        application = resolve_application(started, self._runtime.applications)
        if application.own:
            interpreters = self._runtime.interpreters
            found = await asyncio.to_thread(default_target, application, interpreters)
            started = replace(found or started, host=started.host)
        context = self._runtime.launch_context()
        return await start_application(application, started, context)


log = logging.getLogger("looplab.jobs")


class ApplicationCheck:
    """One check. `checkup` grows while `execute` works; no process is left, however it ends."""

    def __init__(
        self,
        application: Application,
        checkup: Checkup,
        runtime: Runtime,
        openapi_cache: OpenApiCache,
    ) -> None:
        self.checkup = checkup
        self._application, self._runtime = application, runtime
        self._openapi_cache = openapi_cache

    async def execute(self) -> None:
        """Look for what is missing, and start the application where nothing is."""
        try:
            target = await self._target()
            if target is not None:
                await self._start(target)
        except TargetFailed as fault:
            self._fail(fault)

    async def _target(self) -> Target | None:
        """Return the target to start; None when something is missing."""
        application = self._application
        for lack in missing_files(application):
            self._add("missing", f"{lack}.")
        if any(finding.level == "missing" for finding in self.checkup.findings):
            self._conclude("fails")
            return None
        for name in missing_variables(application):
            remedy = f"Set it where Looplab is started, or take it out: export {name}=…"
            self._add("doubt", f"The variable {name} of environment is not set.", remedy)
        for number in unread_lines(application):
            text = f"Line {number} of {application.env_file} is no NAME=value: it is left out."
            self._add("doubt", text, "Correct it, as python-dotenv reads it.")
        if application.command:
            return command_target(application.name)
        target = await self._server_target()
        for unread in unread_settings(application, target) if target else ():
            self._add("doubt", *unread)
        return target

    async def _server_target(self) -> Target | None:
        """Return a target with a server that its interpreter has; None when it has none."""
        python = self._application.interpreter
        interpreters = self._runtime.interpreters
        installed = await asyncio.to_thread(interpreters.inspect, python)
        target = default_target(self._application, interpreters)
        if installed.fault is not None:
            remedy = "Name the interpreter of an environment with Python 3.8 or newer."
            self._add("missing", f"{python} does not run: {installed.fault}.", remedy)
        elif target is None:
            server = choice_to_install(self._application, installed)["server"]
            remedy = f"{python} -m pip install {server}"
            self._add("missing", f"No server can be imported in {python}.", remedy)
        if target is None:
            self._conclude("fails")
            return None
        servers = ", ".join(
            f"{name} {installed.packages[name]}"
            for name in APPLICATION_SERVERS
            if name in installed.packages
        )
        self._add("good", f"Python {installed.version} with {servers}.")
        kind = interface_in_source(self._application)
        if kind in {"asgi", "wsgi"} and not serves(target, kind):
            first = choice_to_install(self._application, installed)["server"]
            text = (
                f"{self._application.app} looks like {kind.upper()}: no server there serves that."
            )
            self._add("doubt", text, f"{python} -m pip install {first}")
            return target
        for name, instead in standing_in(target, installed):
            text = f"{name} is not installed there: runs use {instead} unless they name {name}."
            self._add("doubt", text, f"{python} -m pip install {name}")
        return target

    async def _start(self, target: Target) -> None:
        started = await start_application(self._application, target, self._runtime.launch_context())
        try:
            self.checkup = replace(self.checkup, command=started.command, ready_s=started.ready_s)
            await self._request(started)
            await self._offer(started)
        finally:
            await started.stop(min(self._application.stop_timeout_s, STOP_GRACE_S))
            self.checkup = replace(self.checkup, log=started.log())
        self._conclude("starts")

    async def _request(self, started: RunningTarget) -> None:
        path = self._application.ready_path
        try:
            status = (await get(started.url, path, started.host_header)).status
        except TargetFailed as fault:
            if started.failure():
                raise
            self._add("doubt", str(fault), "Name a ready_path with an answer that ends.")
            return
        if status in (self._application.ready_statuses or SUCCESS):
            self._add("good", f"GET {path} answers {status}.")
        else:
            remedy = "Name a ready_path that answers 200, so that ready means that it works."
            if status in _MAY_REFUSE_HOST:
                remedy += f" Where it does not accept the Host {started.host_header}, set host."
            self._add("doubt", f"GET {path} answers {status}.", remedy)

    async def _offer(self, started: RunningTarget) -> None:
        """Keep what its OpenAPI document lists, where it has one: a first run asks for it."""
        with suppress(InvalidInput, TargetFailed):
            offer = await self._openapi_cache.keep_of(started, self._application.name)
            many = len(offer.operations)
            listed = number_of(many, "operation")
            self._add("good", f"Its OpenAPI document lists {listed}.")

    def _fail(self, fault: TargetFailed) -> None:
        from control_plane.analysis.start_hints import start_hints

        python = self._application.interpreter
        hints = start_hints(str(fault), fault.log, str(python))
        self._add("missing", f"{str(fault).rstrip('.')}.", " ".join(hints))
        self.checkup = replace(self.checkup, log=fault.log or self.checkup.log)
        self._conclude("fails")

    def _add(self, level: Literal["good", "doubt", "missing"], text: str, remedy: str = "") -> None:
        findings = (*self.checkup.findings, Finding(level, text, remedy))
        self.checkup = replace(self.checkup, findings=findings)

    def _conclude(self, outcome: Literal["starts", "fails"]) -> None:
        self.checkup = replace(self.checkup, outcome=outcome)


class ApplicationChecks:
    """The last check of each application. `latest` may be used from any thread."""

    def __init__(
        self, idle_tasks: IdleTasks, runtime: Runtime, openapi_cache: OpenApiCache
    ) -> None:
        self._idle_tasks, self._runtime = idle_tasks, runtime
        self._openapi_cache = openapi_cache
        self._jobs: dict[str, ApplicationCheck] = {}

    def latest(self, name: str) -> Checkup | None:
        """Return what the last check of an application found so far; None before the first."""
        job = self._jobs.get(name)
        return job.checkup if job else None

    async def start(self, application: Application) -> None:
        """Begin a check, in the place of one of it that lasts.

        Raises Conflict while a run measures or another idle task lasts.
        """
        checkup = Checkup(application.name, datetime.now(UTC))
        job = ApplicationCheck(application, checkup, self._runtime, self._openapi_cache)
        task = await self._idle_tasks.begin(job.execute, f"check {application.name}")
        self._jobs[application.name] = job
        task.add_done_callback(lambda task: _settle(task, job))


def _settle(task: asyncio.Task[None], job: ApplicationCheck) -> None:
    """Say so where a check was not carried through."""
    fault = None if task.cancelled() else task.exception()
    gave_way = fault is None or isinstance(fault, Conflict)
    if not gave_way:
        log.error("check of %s", job.checkup.application, exc_info=fault)
    if job.checkup.outcome is None:
        why = "A run needed the machine." if gave_way else "Something went wrong in Looplab."
        note = Finding("doubt", why, "Check again.")
        findings = (*job.checkup.findings, note)
        job.checkup = replace(job.checkup, outcome="stopped", findings=findings)


def commits_of_step(
    applications: Iterable[Application], name: str | None, ends: tuple[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return id and subject of the commits of an application after the first end up to the second.

    () where it is none of those, or its repository does not know both.
    """
    found = (application for application in applications if application.name == name)
    application = next(found, None)
    return commits_between(application.directory, *ends) if application else ()


def code_here(
    name: str, theirs: "MeasuredCommit | None", applications: Iterable[Application]
) -> tuple[str, str]:
    """Return which code an application has, and how `theirs` differs; empty where not known."""
    from control_plane.analysis.differences import measured_commit

    if name == BUNDLED:
        directory, own = CHECKOUT, measured_commit({"commit": commit(CHECKOUT)}, name)
    else:
        found = next((known for known in applications if known.name == name), None)
        if found is None:
            return "", ""
        directory = found.directory
        own = measured_commit(application_revision(directory), name)
    told = f"commit {own.named}" if own else "its commit is not known"
    here = f"Code of “{name}” here: {directory}, {told}."
    if not own or not theirs or (own.commit, own.changes) == (theirs.commit, theirs.changes):
        return here, ""
    return here, f"The code differs: {theirs.version} there, {own.version} here."
