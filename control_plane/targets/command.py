"""The server's command line for a configuration."""

import shlex

from control_plane.domain.spec import Target
from control_plane.targets.application import Application, bundled, settings_of

UVICORN_KEEP_ALIVE_S = 5
UVICORN_BACKLOG = 2048
DEFAULT_THREADS = 40


def command(
    target: Target, host: str, port: int, application: Application | None = None
) -> list[str]:
    """The argument list, program first; without `application`, for the bundled one."""
    served = application or bundled()
    return _uvicorn(target, host, port, served)


def shown_command(target: Target) -> str:
    """A line to copy into a shell; the settings that the application reads stand before it."""
    settings = settings_of(target)
    if target.threads == DEFAULT_THREADS:
        del settings["TARGET_THREADS"]
    assigned = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    return " ".join([*assigned, shlex.join(command(target, "127.0.0.1", 8000))])


def _uvicorn(target: Target, host: str, port: int, served: Application) -> list[str]:
    arguments = ["uvicorn", served.app, "--host", host, "--port", str(port)]
    arguments += ["--loop", target.loop or "auto", "--http", target.http or "auto"]
    if target.workers > 1:
        arguments += ["--workers", str(target.workers)]
    if target.reload:
        arguments += ["--reload", "--reload-dir", served.reload_dir]
    arguments.append("--access-log" if target.access_log else "--no-access-log")
    if target.keep_alive_s not in {None, UVICORN_KEEP_ALIVE_S}:
        arguments += ["--timeout-keep-alive", str(target.keep_alive_s)]
    if target.backlog not in {None, UVICORN_BACKLOG}:
        arguments += ["--backlog", str(target.backlog)]
    return arguments
