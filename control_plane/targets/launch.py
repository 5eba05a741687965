"""Start a target, or reach one that runs already."""

import secrets
import socket
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from control_plane.domain.errors import TargetFailed
from control_plane.domain.spec import Target
from control_plane.targets.application import Application, bundled_application, missing_files
from control_plane.targets.command_line import arguments, shown_command
from control_plane.targets.environment import (
    create_scratch_dirs,
    secret_variables,
    target_environment,
)
from control_plane.targets.external import reach
from control_plane.targets.inside.looplab_probe.ring import FOLDER_VARIABLE
from control_plane.targets.probe_reader import ProbeOutput
from control_plane.targets.readiness import ReadinessProbe, wait_until_ready
from control_plane.targets.running_target import RunningTarget, StartedTarget
from control_plane.targets.supervisor import LaunchSpec, Supervisor

PREFERRED = "127.0.0.2"
"""Cookies ignore ports, so another address keeps those of the dashboard away from targets."""


def listening_host() -> str:
    """127.0.0.2, or 127.0.0.1 where the system has no other loopback address."""
    with socket.socket() as probe:
        try:
            probe.bind((PREFERRED, 0))
        except OSError:
            return "127.0.0.1"
    return PREFERRED


def free_ports(host: str) -> Iterator[int]:
    """Ports that nobody has now, as many as wanted, each chosen by the system when asked for."""
    while True:
        with socket.socket() as probe:
            probe.bind((host, 0))
            port: int = probe.getsockname()[1]
        yield port


__all__ = ["LaunchContext", "RunningTarget", "reach", "start", "start_application"]

TRIES = 3
"""How many ports are tried when others have them."""


@dataclass(frozen=True)
class LaunchContext:
    """Where a target runs: marked as `instance`, on `cores` (None: all), files in `state_dir`.

    Without `probe` its workers are not looked into.
    """

    instance: str
    cores: Collection[int] | None
    state_dir: Path
    log_lines: int = 200
    ports: Callable[[str], Iterator[int]] = free_ports
    probe: bool = True


async def start(
    target: Target,
    *,
    instance: str,
    cores: Collection[int] | None,
    state_dir: Path,
    paths: Collection[str] = (),
) -> StartedTarget:
    """The bundled application, served as `target` says, once it is ready.

    What `paths` need, such as a database, is opened before that instead of at their first request.
    Call it from the event loop of the control plane's main thread. Raises TargetFailed with the
    last lines that the server printed; nothing is left running then, nor when cancelled.
    """
    place = LaunchContext(instance, cores, state_dir)
    return await start_application(bundled_application(paths), target, place)


async def start_application(
    application: Application, target: Target, place: LaunchContext
) -> StartedTarget:
    """Like `start`, for any application."""
    if sys.platform != "linux":
        raise TargetFailed("Targets can be started on Linux only: give the URL of a running one.")
    for lack in missing_files(application):
        raise TargetFailed(f"start: {lack}")
    host, owner = listening_host(), ""
    for port in islice(place.ports(host), TRIES):
        attempt = _Attempt(application, target, place, host, port)
        found = await attempt.start()
        if isinstance(found, StartedTarget):
            return found
        owner = f"port {port} on {host} belongs to {found}"
    raise TargetFailed(f"start: {owner}, after {TRIES} ports were tried")


@dataclass(frozen=True)
class _Attempt:
    """One port."""

    application: Application
    target: Target
    place: LaunchContext
    host: str
    port: int

    async def start(self) -> StartedTarget | str:
        """The running target, or the name of who has the port."""
        began = time.monotonic()
        orders = self._orders()
        server = await Supervisor.start(orders, log_lines=self.place.log_lines)
        try:
            owner = await wait_until_ready(server, self._sign())
            ready_s = time.monotonic() - began
            pid = await server.server()
        except BaseException:
            await server.stop()
            raise
        if owner is not None:
            await server.stop()
            return owner
        return self._started(server, pid, ready_s, self._inside(orders))

    def _started(
        self, server: Supervisor, pid: int, ready_s: float, inside: ProbeOutput | None
    ) -> StartedTarget:
        path = self.application.ready_path
        return StartedTarget(
            server, self._shown(), pid, self.host, self.port, ready_s, inside, path
        )

    def _orders(self) -> LaunchSpec:
        launch = secrets.token_hex(8)
        place = self.place
        folders = create_scratch_dirs(place.state_dir, place.instance, launch, probe=place.probe)
        environment = target_environment(self.application, self.target, self.place.instance, launch)
        if not self.application.own:
            environment["TARGET_DIRECTORY"] = str(folders.scratch)
        if folders.inside is not None:
            environment[FOLDER_VARIABLE] = str(folders.inside)
        return LaunchSpec(
            arguments(self.target, self.application, self.host, self.port),
            self.application.directory,
            environment,
            folders,
            place.cores,
            secret_variables(self.application),
        )

    def _inside(self, orders: LaunchSpec) -> ProbeOutput | None:
        inside = orders.folders.inside
        return ProbeOutput(inside, self.application.directory) if inside else None

    def _sign(self) -> ReadinessProbe:
        application = self.application
        return ReadinessProbe(
            self.host,
            self.port,
            application.ready_path,
            self.target.workers or 1,
            application.start_timeout_s,
        )

    def _shown(self) -> str:
        return shown_command(self.target, self.host, self.port, self.application)
