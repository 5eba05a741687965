"""The server's command line for a configuration."""

import shlex

from control_plane.domain.spec import DEFAULT_THREADS, Target
from control_plane.targets.application import Application, bundled, settings_of
from control_plane.targets.servers import SERVERS, Endpoint

MODULES = {"responder": "control_plane.targets.responder"}
"""Servers that are no program of their own, but a module of ours."""


def arguments(target: Target, at: Endpoint) -> list[str]:
    """What is executed: a server is run as a module of the application's own interpreter."""
    if target.server == "command":
        return command(target, at.host, at.port, at.served)
    return [str(at.served.interpreter), "-m", *command(target, at.host, at.port, at.served)]


def command(
    target: Target, host: str, port: int, application: Application | None = None
) -> list[str]:
    """The argument list, program first; without `application`, for the bundled one."""
    at = Endpoint(application or bundled(), host, port)
    if target.server == "command":
        return [
            one.replace("{host}", host).replace("{port}", str(port)) for one in at.served.command
        ]
    return [MODULES.get(target.server, target.server), *SERVERS[target.server](target, at)]


def shown_command(
    target: Target,
    host: str = "127.0.0.1",
    port: int = 8000,
    application: Application | None = None,
) -> str:
    """A line to copy into a shell; the settings that the application reads stand before it."""
    if application is not None and application.own:
        return shlex.join(arguments(target, Endpoint(application, host, port)))
    settings = settings_of(target)
    if target.threads == DEFAULT_THREADS:
        del settings["TARGET_THREADS"]
    assigned = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    words = command(target, host, port, application)
    program = ["python", "-m"] if target.server in MODULES else []
    return " ".join([*assigned, shlex.join([*program, *words])])
