"""The start of a target, from its command line until it is ready.

It runs through `environment_variables`, `target_files`, `guarded_server`, `guard` and `readiness`
to a `running_target`. What servers are called with stands in `domain/server_command_lines`.
"""

import secrets
import shlex
import socket
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from control_plane.domain.errors import StartPrevented, TargetFailed
from control_plane.domain.secrets import hide
from control_plane.domain.server_command_lines import SERVERS, Binding
from control_plane.domain.spec import DEFAULT_THREADS, Target
from control_plane.targets.application import (
    Application,
    bundled_application,
    interface_in_source,
    missing_files,
    placed,
    settings_variables,
)
from control_plane.targets.environment_variables import (
    UNASKED,
    secret_variables,
    settings_file,
    target_environment,
)
from control_plane.targets.guarded_server import GuardedServer, LaunchSpec
from control_plane.targets.inside.looplab_probe.ring import FOLDER_VARIABLE
from control_plane.targets.interpreter_packages import inspect_interpreter
from control_plane.targets.observation.probe_reader import ProbeOutput
from control_plane.targets.readiness import ReadinessProbe, wait_until_ready
from control_plane.targets.running_target import (
    HURRIED_GRACE_S,
    RunningTarget,
    StartedTarget,
    reach,
)
from control_plane.targets.target_files import create_scratch_dirs, write_files


def arguments(
    target: Target,
    application: Application,
    host: str,
    port: int,
    places: Mapping[str, Path] | None = None,
) -> list[str]:
    """Return the argument list that is executed.

    A server is run as a module of the application's own interpreter. `places` are those of the
    files that a command names.
    """
    words = command(target, host, port, application)
    for name, path in (places or {}).items():
        words = [word.replace(f"{{{name}}}", str(path)) for word in words]
    return words if target.server == "command" else [str(application.interpreter), "-m", *words]


def command(
    target: Target, host: str, port: int, application: Application | None = None
) -> list[str]:
    """Return the server's argument list, program first.

    Without `application`, for the bundled one.
    """
    served = application or bundled_application()
    if target.server == "command":
        return [placed(word, host, port) for word in served.command]
    server = SERVERS[target.server]
    binding = Binding(
        served.app, served.factory, served.reload_dir, host, port, served.versions,
        UNASKED[target.server].without_file if settings_file(served, target) else (),
    )  # fmt: skip
    return [server.module, *server.arguments(target, binding)]


def shown_command(
    target: Target,
    host: str = "127.0.0.1",
    port: int = 8000,
    application: Application | None = None,
) -> str:
    """Return a command line to copy into a shell.

    The settings that the application reads stand before it. Passwords in URLs are hidden.
    """
    if application is not None and application.own:
        return hide(shlex.join(arguments(target, application, host, port)), {})
    settings = settings_variables(target)
    if target.threads == DEFAULT_THREADS:
        del settings["TARGET_THREADS"]
    assigned = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    words = command(target, host, port, application)
    has_program = target.server in {"command", SERVERS[target.server].module}
    return " ".join([*assigned, shlex.join([*([] if has_program else ["python", "-m"]), *words])])


PREFERRED_HOST = "127.0.0.2"
"""Cookies ignore ports, so another address keeps those of the dashboard away from targets."""


def listening_host() -> str:
    """Return 127.0.0.2, or 127.0.0.1 where the system has no other loopback address."""
    with socket.socket() as probe:
        try:
            probe.bind((PREFERRED_HOST, 0))
        except OSError:
            return "127.0.0.1"
    return PREFERRED_HOST


def free_ports(host: str) -> Iterator[int]:
    """Yield free ports without end, each chosen by the system at that moment.

    Raises StartPrevented where it has none left.
    """
    while True:
        try:
            with socket.socket() as probe:
                probe.bind((host, 0))
                port: int = probe.getsockname()[1]
        except OSError as error:
            raise StartPrevented(f"start: no free port on {host}: {error.strerror}") from None
        yield port


__all__ = ["LaunchContext", "RunningTarget", "reach", "start", "start_application"]

_SERVES_ITSELF = (
    "is made by a framework that brings its own server, aiohttp or tornado, and is neither ASGI "
    "nor WSGI: give the command that starts it in the place of app"
)
TRIES = 3
"""How many ports are tried when others have them."""


@dataclass(frozen=True)
class LaunchContext:
    """Where a target is started: for an `instance`, on `cores` (None: all), files in `state_dir`.

    `probe`: whether its workers are observed from inside. `ports` yields those to try on a host.
    `secrets` are texts, by what they are called, that stand in no line of its log. `hash_seed` is
    that of its Python, where it has none of its own; None: drawn by each process.
    """

    instance: str
    cores: Collection[int] | None
    state_dir: Path
    log_lines: int = 200
    ports: Callable[[str], Iterator[int]] = free_ports
    probe: bool = True
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    hash_seed: int | None = None


async def start(
    target: Target,
    *,
    instance: str,
    cores: Collection[int] | None,
    state_dir: Path,
    paths: Collection[str] = (),
) -> StartedTarget:
    """Start the bundled application, served as `target` says; return it once it is ready.

    What `paths` need, such as a database, is opened before that instead of at their first request.
    Call it from the event loop of the control plane's main thread. Raises TargetFailed with the
    last lines that the server printed (StartPrevented where others are in its way); nothing is left
    running then, nor when cancelled.
    """
    context = LaunchContext(instance, cores, state_dir)
    return await start_application(bundled_application(paths), target, context)


async def start_application(
    application: Application, target: Target, context: LaunchContext
) -> StartedTarget:
    """Start any application, as `start` does."""
    if sys.platform != "linux":
        raise TargetFailed("Targets can be started on Linux only: give the URL of a running one.")
    for lack in missing_files(application):
        raise TargetFailed(f"start: {lack}")
    by_server = application.own and target.server != "command"
    if by_server and interface_in_source(application) == "own":
        raise TargetFailed(f"start: {application.app} {_SERVES_ITSELF}")
    if application.python is not None and SERVERS[target.server].by_version:
        installed = await inspect_interpreter(application.python, context.instance)
        application = replace(application, versions=installed.packages)
    host, owner = listening_host(), ""
    for port in islice(context.ports(host), TRIES):
        attempt = _Attempt(application, target, context, host, port)
        outcome = await attempt.start()
        if isinstance(outcome, StartedTarget):
            return outcome
        owner = f"port {port} on {host} belongs to {outcome}"
    raise StartPrevented(f"start: {owner}, after {TRIES} ports were tried")


@dataclass(frozen=True)
class _Attempt:
    """One try, on one port."""

    application: Application
    target: Target
    context: LaunchContext
    host: str
    port: int

    async def start(self) -> StartedTarget | str:
        """Return the running target, or the name of who has the port."""
        began = time.monotonic()
        spec = self._launch_spec()
        server = await GuardedServer.start(spec, log_lines=self.context.log_lines)
        try:
            ready = await wait_until_ready(server, self._readiness_probe())
            ready_s = time.monotonic() - began
            pid = await server.server_pid()
        except BaseException:
            await server.stop(min(self.application.stop_timeout_s, HURRIED_GRACE_S))
            raise
        if ready.owner is not None:
            await server.stop()
            return ready.owner
        return StartedTarget(
            server,
            hide(shown_command(self.target, self.host, self.port, self.application), spec.secrets),
            pid,
            self.host,
            self.port,
            self._host_header,
            ready_s,
            self._probe_output(spec),
            self.application.ready_path,
            own_command=self.target.server == "command",
            belongs=self.application.belongs,
            scheme=ready.scheme,
            stop_timeout_s=self.application.stop_timeout_s,
        )

    def _launch_spec(self) -> LaunchSpec:
        launch = secrets.token_hex(8)
        context, application = self.context, self.application
        environment = target_environment(application, self.target, context.instance, launch)
        probe = context.probe and self.target.probe
        directories = create_scratch_dirs(
            context.state_dir.absolute(), context.instance, launch, probe=probe
        )
        if context.hash_seed is not None:
            environment.setdefault("PYTHONHASHSEED", str(context.hash_seed))
        if not application.own:
            environment["TARGET_DIRECTORY"] = str(directories.scratch)
        if directories.probe is not None:
            environment[FOLDER_VARIABLE] = str(directories.probe)
        texts = {
            name: placed(text, self.host, self.port) for name, text in application.files.items()
        }
        places = write_files(directories, texts)
        return LaunchSpec(
            arguments(self.target, application, self.host, self.port, places),
            application.directory,
            environment,
            directories,
            context.cores,
            {**secret_variables(application), **context.secrets},
        )

    def _probe_output(self, spec: LaunchSpec) -> ProbeOutput | None:
        folder = spec.directories.probe
        return ProbeOutput(folder, self.application.directory) if folder else None

    def _readiness_probe(self) -> ReadinessProbe:
        application = self.application
        return ReadinessProbe(
            self.host,
            self.port,
            application.ready_path,
            application.ready_statuses,
            self.target.workers or 1,
            application.start_timeout_s,
            self._host_header,
            by_epoll=self.target.worker != "sync" and self.target.server != "command",
        )

    @property
    def _host_header(self) -> str:
        """The Host that local applications accept, unless another is chosen."""
        return self.target.host or self.application.host or f"localhost:{self.port}"
