"""The servers that serve an application, and the command line of each.

A server is one entry of `SERVERS` and one hook of the probe (`targets/inside/looplab_probe/hooks`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from control_plane.domain.spec import Target

FIELDS = (
    "worker", "workers", "loop", "http", "threads", "reuse_port", "reload", "access_log",
    "keep_alive_s", "backlog",
)  # fmt: skip
"""The fields of a target that a server has or lacks."""
DEFAULT_KEEP_ALIVE_S = 5
DEFAULT_BACKLOG = 2048
"""The defaults of uvicorn, which are those of a target."""
WSGI_THREADS = 4
"""As many as is usual for a WSGI server that has threads."""


def release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version: (25, 1, 0) of `25.1.0`."""
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


@dataclass(frozen=True)
class Binding:
    """What a server serves, and where it listens.

    `app` is an import string, of a `factory` that makes the application or of itself. `reload_dir`
    is what `--reload` watches, relative to the application's directory. `versions` of the packages
    of its interpreter, where they are known; others are taken for the newest. `without_files`: the
    options that shut out a file of settings, which lies there.
    """

    app: str
    factory: bool
    reload_dir: str
    host: str
    port: int
    versions: Mapping[str, str] = field(default_factory=dict)
    without_files: Sequence[str] = ()

    def has(self, package: str, *least: int) -> bool:
        """Return whether the package is of at least that version, as 25, 1."""
        known = self.versions.get(package)
        return known is None or release(known) >= least

    @property
    def address(self) -> str:
        """Host and port, with a colon between."""
        return f"{self.host}:{self.port}"

    @property
    def call(self) -> str:
        """The import string, for servers that have no option for a factory."""
        return f"{self.app}()" if self.factory else self.app

    @property
    def factory_option(self) -> list[str]:
        """`--factory` for servers that have it, where it is needed."""
        return ["--factory"] if self.factory else []


Arguments = Callable[["Target", Binding], list[str]]
"""What follows the server's module on its command line."""


@dataclass(frozen=True)
class WorkerClass:
    """A kind of worker that a server can run.

    `lacks`: what it lacks beside what its server lacks. `pairs` of event loop and HTTP parser that
    it runs; () for any. `package`: the distribution that brings it, where that is not its server's.
    `wsgi`: it serves WSGI applications, without an event loop.
    """

    purpose: str
    lacks: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    package: str | None = None
    wsgi: bool = False


@dataclass(frozen=True)
class Server:
    """What is known of a server.

    `module` is run with `python -m`. `lacks` names the fields of a target that it does not have.
    `arguments` writes the others as its own options. `packages`: the distributions whose versions
    can change a measurement; () for a server that loads no application by an import string.
    `extra` of Looplab that installs it; None for a server that always comes along. `wsgi`: it
    serves WSGI applications. `most_workers` that it can run; None where only the settings bound it.
    `by_version`: not all of its versions have the same options.
    """

    module: str
    purpose: str
    lacks: tuple[str, ...]
    arguments: Arguments
    packages: tuple[str, ...] = ()
    extra: str | None = None
    workers: Mapping[str, WorkerClass] = field(default_factory=dict)
    wsgi: bool = False
    most_workers: int | None = None
    by_version: bool = False


def _uvicorn(target: Target, binding: Binding) -> list[str]:
    """Defaults are left out, because they are those of the fields."""
    arguments = [binding.app, *binding.factory_option]
    arguments += ["--host", binding.host, "--port", str(binding.port)]
    arguments += ["--loop", str(target.loop), "--http", str(target.http)]
    if target.workers != 1:
        arguments += ["--workers", str(target.workers)]
    if target.reload:
        arguments += ["--reload", "--reload-dir", binding.reload_dir]
    arguments.append("--access-log" if target.access_log else "--no-access-log")
    if target.keep_alive_s != DEFAULT_KEEP_ALIVE_S:
        arguments += ["--timeout-keep-alive", str(target.keep_alive_s)]
    if target.backlog != DEFAULT_BACKLOG:
        arguments += ["--backlog", str(target.backlog)]
    return arguments


_GUNICORN_WORKERS: Mapping[tuple[str | None, str | None], str] = {
    ("uvicorn_worker", "uvloop"): "uvicorn_worker.UvicornWorker",
    ("uvicorn_worker", "asyncio"): "uvicorn_worker.UvicornH11Worker",
}
"""What gunicorn calls a kind of worker, where that is not its name."""


def _gunicorn(target: Target, binding: Binding) -> list[str]:
    """Without its control socket, which all gunicorns of a user share."""
    worker = _GUNICORN_WORKERS.get((target.worker, target.loop), str(target.worker))
    arguments = [binding.call, *binding.without_files, "--bind", binding.address]
    arguments += ["--worker-class", worker]
    arguments += ["--workers", str(target.workers)]
    arguments += ["--no-control-socket"] if binding.has("gunicorn", 25, 1) else []
    if target.worker == "asgi":
        arguments += ["--asgi-loop", str(target.loop)]
    if target.worker == "gthread":
        arguments += ["--threads", str(target.threads)]
    if target.keep_alive_s is not None:
        arguments += ["--keep-alive", str(target.keep_alive_s)]
    arguments += ["--backlog", str(target.backlog)]
    arguments += ["--reuse-port"] if target.reuse_port else []
    arguments += ["--reload"] if target.reload else []
    return arguments + (["--access-logfile", "-"] if target.access_log else [])


def _hypercorn(target: Target, binding: Binding) -> list[str]:
    arguments = [binding.call, "--bind", binding.address]
    arguments += ["--worker-class", str(target.loop), "--workers", str(target.workers)]
    arguments += ["--keep-alive", str(target.keep_alive_s), "--backlog", str(target.backlog)]
    arguments += ["--reload"] if target.reload else []
    return arguments + (["--access-logfile", "-"] if target.access_log else [])


def _granian(target: Target, binding: Binding) -> list[str]:
    arguments = [binding.app, *binding.factory_option, "--interface", "asgi"]
    arguments += ["--host", binding.host, "--port", str(binding.port)]
    arguments += ["--workers", str(target.workers), "--loop", str(target.loop)]
    arguments += ["--backlog", str(target.backlog)]
    arguments += ["--reload"] if target.reload else []
    if target.reload and binding.has("granian", 1, 6):
        arguments += ["--reload-paths", binding.reload_dir]
    if not binding.has("granian", 1, 4):
        return arguments
    return [*arguments, "--access-log" if target.access_log else "--no-access-log"]


_WAITRESS_CONNECTIONS = 10_000


def _waitress(target: Target, binding: Binding) -> list[str]:
    """With room for all users, as other servers have: by default it takes 100, and select() fails.

    Connections beyond that would wait in the backlog, where nobody sees them.
    """
    arguments = ["--listen", binding.address, "--threads", str(target.threads)]
    arguments += ["--connection-limit", str(_WAITRESS_CONNECTIONS), "--asyncore-use-poll"]
    arguments += ["--backlog", str(target.backlog)]
    arguments += ["--channel-timeout", str(target.keep_alive_s)]
    return [*arguments, *(["--call"] if binding.factory else []), binding.app]


def _responder(_target: Target, binding: Binding) -> list[str]:
    return [binding.host, str(binding.port)]


def _nothing(_target: Target, _binding: Binding) -> list[str]:
    """An application's own command stands in the settings."""
    return []


SERVERS: dict[str, Server] = {
    "uvicorn": Server(
        module="uvicorn",
        purpose="The usual server for FastAPI.",
        lacks=("worker", "reuse_port"),
        arguments=_uvicorn,
        packages=("uvicorn", "uvloop", "httptools", "h11"),
    ),
    "gunicorn": Server(
        module="gunicorn",
        purpose="A master that replaces workers that die; the workers are uvicorn's or its own.",
        lacks=(),
        arguments=_gunicorn,
        packages=("gunicorn",),
        by_version=True,
        extra="servers",
        workers={
            "uvicorn_worker": WorkerClass(
                "Its workers run uvicorn.",
                pairs=(("uvloop", "httptools"), ("asyncio", "h11")),
                package="uvicorn-worker",
            ),
            "asgi": WorkerClass("Its own ASGI worker.", lacks=("http",)),
            "gthread": WorkerClass(
                "Its WSGI worker with threads.", lacks=("loop", "http"), wsgi=True
            ),
            "sync": WorkerClass(
                "Its WSGI worker: one request at a time, on a connection of its own.",
                lacks=("loop", "http", "threads", "keep_alive_s"),
                wsgi=True,
            ),
        },
    ),
    "hypercorn": Server(
        module="hypercorn",
        purpose="A server in Python that also speaks HTTP/2.",
        lacks=("worker", "http", "reuse_port"),
        arguments=_hypercorn,
        packages=("hypercorn",),
        extra="servers",
    ),
    "granian": Server(
        module="granian",
        purpose="A server written in Rust.",
        lacks=("worker", "http", "reuse_port", "keep_alive_s"),
        arguments=_granian,
        packages=("granian",),
        by_version=True,
        extra="servers",
    ),
    "waitress": Server(
        module="waitress",
        purpose="A WSGI server in Python: one process with threads.",
        lacks=("worker", "loop", "http", "reuse_port", "reload", "access_log"),
        arguments=_waitress,
        packages=("waitress",),
        extra="servers",
        wsgi=True,
        most_workers=1,
    ),
    "command": Server("", "The application's own command line.", FIELDS, _nothing),
    "responder": Server(
        module="control_plane.targets.responder",
        purpose="Shows the client, and serves no application.",
        lacks=tuple(name for name in FIELDS if name != "workers"),
        arguments=_responder,
    ),
}

_WRONG_CALL = re.compile(
    r"TypeError: .*(?:object is not callable|takes \d+ positional arguments? but"
    r"|missing \d+ required positional arguments?: '(?:receive|send|start_response)')"
)
_FRAME = re.compile(r'^\s*File "([^"]+)", line \d+')


def called_wrongly(log: Sequence[str]) -> bool:
    """Return whether a server failed to call its application, which has another interface.

    The same error from deeper inside is the application's own.
    """
    modules = [server.module for server in SERVERS.values() if server.packages]
    folders = [f"/{module}/" for module in ("looplab_probe", *modules)]
    frame = ""
    for line in log:
        if found := _FRAME.match(line):
            frame = found[1]
        elif _WRONG_CALL.search(line) and any(folder in frame for folder in folders):
            return True
    return False


APPLICATION_SERVERS = {name: server for name, server in SERVERS.items() if server.packages}
"""The servers that load an application by its import string."""

if TYPE_CHECKING:
    ServerName = str
    WorkerName = str
else:
    ServerName = Literal[*SERVERS]
    WorkerName = Literal[*(name for server in SERVERS.values() for name in server.workers)]


def worker_class(server: str, worker: str | None) -> WorkerClass | None:
    """Return the kind of worker that a server runs; None for a server that has one kind only."""
    known = SERVERS.get(server)
    return known.workers.get(worker or "") if known else None


def is_wsgi(server: str, worker: str | None) -> bool:
    """Return whether a server serves WSGI applications, and no ASGI ones."""
    known, kind = SERVERS.get(server), worker_class(server, worker)
    return bool((known and known.wsgi) or (kind and kind.wsgi))


def lacking(server: str, worker: str | None) -> tuple[str, ...]:
    """Return the fields of a target that this server lacks; none for an unknown server."""
    known, kind = SERVERS.get(server), worker_class(server, worker)
    return (*(known.lacks if known else ()), *(kind.lacks if kind else ()))


def server_defaults(server: str, worker: str | None) -> dict[str, Any]:
    """Return what is meant where this server's target leaves fields out, if not the usual default.

    A port is shared only where that is said; a field that the server lacks is null.
    """
    threads = {"threads": WSGI_THREADS} if is_wsgi(server, worker) else {}
    return {"reuse_port": False} | threads | dict.fromkeys(lacking(server, worker))


def server_label(server: str, worker: str | None) -> str:
    """Return the server, with its kind of worker where that lacks something: `gunicorn, asgi`."""
    kind = worker_class(server, worker)
    return f"{server}, {worker}" if kind and kind.lacks else server


def modules_needed(server: str, worker: str | None) -> tuple[str, ...]:
    """Return the modules that must be importable for a server to run."""
    kind = worker_class(server, worker)
    return (SERVERS[server].module, *([str(worker)] if kind and kind.package else []))


def package_of(module: str) -> str | None:
    """Return the distribution of a server's or worker's module; None for another module."""
    for name, server in APPLICATION_SERVERS.items():
        if module == server.module:
            return name
        if (kind := server.workers.get(module)) and kind.package:
            return kind.package
    return None


def server_packages() -> Iterator[str]:
    """Yield the distributions of all servers and of their workers."""
    for server in APPLICATION_SERVERS.values():
        yield from server.packages
        yield from (kind.package for kind in server.workers.values() if kind.package)


def server_options() -> dict[str, str]:
    """Return the labels of all servers as options of a form, once for each kind of worker.

    The key of an option is the server, then its kind of worker, with a space between.
    """
    return {
        f"{name} {worker}" if worker else name: f"{name}, {worker}" if worker else name
        for name, server in APPLICATION_SERVERS.items()
        for worker in server.workers or (None,)
    }


def lacking_option(value: str) -> tuple[str, ...]:
    """Return the fields of a target that the server of this option lacks."""
    server, _, worker = value.partition(" ")
    return lacking(server, worker)
