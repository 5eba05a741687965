"""The server's command line for a configuration."""

import shlex

from control_plane.domain.spec import Target
from control_plane.targets.application import Application, bundled, settings_of
from control_plane.targets.servers import SERVERS, Endpoint

DEFAULT_THREADS = 40


def command(
    target: Target, host: str, port: int, application: Application | None = None
) -> list[str]:
    """The argument list, program first; without `application`, for the bundled one."""
    at = Endpoint(application or bundled(), host, port)
    return [target.server, *SERVERS[target.server](target, at)]


def shown_command(
    target: Target,
    host: str = "127.0.0.1",
    port: int = 8000,
    application: Application | None = None,
) -> str:
    """A line to copy into a shell; the settings that the application reads stand before it."""
    settings = settings_of(target)
    if target.threads == DEFAULT_THREADS:
        del settings["TARGET_THREADS"]
    assigned = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    return " ".join([*assigned, shlex.join(command(target, host, port, application))])
