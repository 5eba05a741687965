"""How each server is told the fields of a configuration: its own options, in its own words.

What a server does at its default is left out for uvicorn, whose defaults the fields have, and
written out for the others.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from control_plane.domain.spec import DEFAULT_THREADS, Target
from control_plane.targets.application import Application, bundled_application, settings_variables


@dataclass(frozen=True)
class Endpoint:
    """What is served, and where."""

    served: Application
    host: str
    port: int


Arguments = Callable[[Target, Endpoint], list[str]]

_DEFAULT = Target()
_GUNICORN_WORKERS = {
    ("uvicorn_worker", "uvloop"): "uvicorn_worker.UvicornWorker",
    ("uvicorn_worker", "asyncio"): "uvicorn_worker.UvicornH11Worker",
    ("asgi", "uvloop"): "asgi",
    ("asgi", "asyncio"): "asgi",
}


def _uvicorn(target: Target, at: Endpoint) -> list[str]:
    arguments = [at.served.app, *_factory(at), "--host", at.host, "--port", str(at.port)]
    arguments += ["--loop", str(target.loop), "--http", str(target.http)]
    if target.workers != 1:
        arguments += ["--workers", str(target.workers)]
    if target.reload:
        arguments += ["--reload", "--reload-dir", at.served.reload_dir]
    arguments.append("--access-log" if target.access_log else "--no-access-log")
    if target.keep_alive_s != _DEFAULT.keep_alive_s:
        arguments += ["--timeout-keep-alive", str(target.keep_alive_s)]
    if target.backlog != _DEFAULT.backlog:
        arguments += ["--backlog", str(target.backlog)]
    return arguments


def _gunicorn(target: Target, at: Endpoint) -> list[str]:
    """Without its control socket, which all gunicorns of a user share."""
    worker = _GUNICORN_WORKERS[str(target.worker), str(target.loop)]
    arguments = [at.served.called, "--bind", f"{at.host}:{at.port}", "--worker-class", worker]
    arguments += ["--workers", str(target.workers), "--no-control-socket"]
    if target.worker == "asgi":
        arguments += ["--asgi-loop", str(target.loop)]
    arguments += ["--keep-alive", str(target.keep_alive_s), "--backlog", str(target.backlog)]
    arguments += ["--reuse-port"] if target.reuse_port else []
    arguments += ["--reload"] if target.reload else []
    return arguments + (["--access-logfile", "-"] if target.access_log else [])


def _hypercorn(target: Target, at: Endpoint) -> list[str]:
    arguments = [at.served.called, "--bind", f"{at.host}:{at.port}"]
    arguments += ["--worker-class", str(target.loop), "--workers", str(target.workers)]
    arguments += ["--keep-alive", str(target.keep_alive_s), "--backlog", str(target.backlog)]
    arguments += ["--reload"] if target.reload else []
    return arguments + (["--access-logfile", "-"] if target.access_log else [])


def _granian(target: Target, at: Endpoint) -> list[str]:
    arguments = [at.served.app, *_factory(at), "--interface", "asgi"]
    arguments += ["--host", at.host, "--port", str(at.port)]
    arguments += ["--workers", str(target.workers), "--loop", str(target.loop)]
    arguments += ["--backlog", str(target.backlog)]
    arguments += ["--reload", "--reload-paths", at.served.reload_dir] if target.reload else []
    return [*arguments, "--access-log" if target.access_log else "--no-access-log"]


def _responder(target: Target, at: Endpoint) -> list[str]:
    del target
    return [at.host, str(at.port)]


def _factory(at: Endpoint) -> list[str]:
    return ["--factory"] if at.served.factory else []


SERVERS: dict[str, Arguments] = {
    "uvicorn": _uvicorn,
    "gunicorn": _gunicorn,
    "hypercorn": _hypercorn,
    "granian": _granian,
    "responder": _responder,
}


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
    at = Endpoint(application or bundled_application(), host, port)
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
    settings = settings_variables(target)
    if target.threads == DEFAULT_THREADS:
        del settings["TARGET_THREADS"]
    assigned = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    words = command(target, host, port, application)
    program = ["python", "-m"] if target.server in MODULES else []
    return " ".join([*assigned, shlex.join([*program, *words])])
