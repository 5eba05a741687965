"""The log of the target's Python processes, and import hooks for the modules of servers.

A line of the log when a process begins, one when it ends in order. A worker may live for less time
than passes between two looks from outside, and how it ended cannot be seen from there. A process
that is killed leaves no line of its end.

Hooks, as `HOOKS` lists them, count the requests of each server, and see whether a worker has
reached its limit of requests. Most replace an attribute: once the server has loaded the
application, found out its interface and set the attribute, requests to the application are counted.
No function of a server is wrapped on the way there, so that factories, import errors and their
tracebacks are as ever. Nothing is imported here: a hook runs when the server has imported its own
module.
"""

from __future__ import annotations

import atexit
import binascii
import functools
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Callable, Optional

from . import never_raise
from .ring import FOLDER_VARIABLE

LOG_NAME = "processes"
PROCESS_LOG_BYTES = 8_000_000
"""More is not written: it is the memory of the machine that is measured."""

BORN, ENDED = "born", "ended"
FORKED = 0
"""The shape of a process that runs on as a copy of its parent."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_DIGITS = b"0123456789"


def command_shape(command_line: bytes) -> int:
    """Return a number that is the same for command lines that differ in their numbers only."""
    return binascii.crc32(command_line.translate(None, _DIGITS)) or 1


class ProcessLog:
    """Appends `born PID START PARENT SHAPE` and `ended PID START LIMIT` to a file of the folder.

    START is in clock ticks since boot (proc_pid_stat(5)), LIMIT 1 where the process reached the
    number of requests after which its server ends it.
    """

    def __init__(self) -> None:
        self._folder = os.environ.get(FOLDER_VARIABLE, "")
        self._limited: dict[Callable[[Any], bool], Any] = {}

    @never_raise
    def install(self) -> None:
        """Log this process, those that it forks, and their ends; nothing without a folder."""
        if not self._folder:
            return
        with open("/proc/self/cmdline", "rb") as command_line:
            self._log_birth(command_shape(command_line.read()))
        os.register_at_fork(after_in_child=self._log_fork)
        atexit.register(self._log_end)

    @never_raise
    def add_limit(self, owner: Any, reached: Callable[[Any], bool]) -> None:
        """Ask `reached` of the newest owner of a limit of requests when the process ends.

        The owner is kept until then: a server may drop it before.
        """
        self._limited[reached] = owner

    @never_raise
    def _log_fork(self) -> None:
        self._log_birth(FORKED)

    @never_raise
    def _log_end(self) -> None:
        self._write(f"{ENDED} {os.getpid()} {_own_start()} {int(self._limit_reached())}\n")

    def _log_birth(self, shape: int) -> None:
        self._write(f"{BORN} {os.getpid()} {_own_start()} {os.getppid()} {shape}\n")

    def _limit_reached(self) -> bool:
        return any(never_raise(reached)(owner) for reached, owner in self._limited.items())

    def _write(self, line: str) -> None:
        descriptor = os.open(os.path.join(self._folder, LOG_NAME), _FLAGS, 0o600)
        try:
            if os.fstat(descriptor).st_size < PROCESS_LOG_BYTES:
                os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def _own_start() -> str:
    with open("/proc/self/stat", "rb") as stat:
        return stat.read().rpartition(b")")[2].split()[19].decode()


PROCESS_LOG = ProcessLog()


Hook = Callable[[ModuleType], None]
WatchConnections = Callable[[Any], Optional[bool]]
"""Makes the connections of an owner count responses; true where they do."""

_GRANIAN_CALL = "_callback_wrapper"


def install() -> None:
    """Run the hooks of `HOOKS` as their modules are imported from now on."""
    sys.meta_path.insert(0, _ImportHook())


class _ImportHook:
    """A finder that finds as the path does, and runs a hook once its module has run."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        hook = HOOKS.get(name)
        return _hooked_spec(name, path, target, hook) if hook else None


@never_raise
def _hooked_spec(name: str, path: Any, target: Any, hook: Hook) -> ModuleSpec | None:
    spec = PathFinder.find_spec(name, path, target)
    loader: Any = spec.loader if spec else None
    if loader is None:
        return None
    run = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        run(module)
        never_raise(hook)(module)

    loader.exec_module = exec_module
    return spec


class _AttributeHook:
    """Calls `on_set` with the owner once something is set here.

    It has no `__get__`: reading costs what it did, and finds the value in the owner itself.
    """

    def __init__(self, name: str, on_set: Callable[[Any], None]) -> None:
        self._name, self._on_set = name, on_set

    def __set__(self, owner: Any, value: Any) -> None:
        vars(owner)[self._name] = value
        if value is not None and value is not False:
            self._on_set(owner)


def _watch_nothing(_owner: Any) -> bool:
    """Return False: responses are counted as the application sends them."""
    return False


@never_raise
def _watch_uvicorn(config: Any) -> bool | None:
    from .asgi_counter import watch_connections

    return watch_connections(config)


def _attribute_hook(
    owner: str,
    name: str,
    application: str | None = None,
    watch: WatchConnections = _watch_nothing,
) -> Hook:
    """Count the requests of an application once the attribute `name` of a class is set.

    `application` is the attribute that has it, if another.
    """

    def on_set(instance: Any) -> None:
        _count(vars(instance), application or name, sends=not watch(instance))

    return _hook_on(owner, name, on_set)


def _limit_hook(owner: str, name: str, reached: Callable[[Any], bool]) -> Hook:
    """Ask `reached` of whoever counts the requests of a worker when its process ends."""

    def on_set(instance: Any) -> None:
        PROCESS_LOG.add_limit(instance, reached)

    return _hook_on(owner, name, on_set)


def _hook_on(owner: str, name: str, on_set: Callable[[Any], None]) -> Hook:
    def hook(module: ModuleType) -> None:
        setattr(getattr(module, owner), name, _AttributeHook(name, on_set))

    return hook


def _granian(module: ModuleType) -> None:
    """Count in both places from which granian calls the application."""
    _attribute_hook("LifespanProtocol", "callable")(module)
    original: Any = getattr(module, _GRANIAN_CALL)

    @functools.wraps(original)
    def counting(callback: Any, *args: Any, **kwargs: Any) -> Any:
        return original(_counted(callback) or callback, *args, **kwargs)

    setattr(module, _GRANIAN_CALL, counting)


@never_raise
def _count(attributes: dict[str, Any], name: str, *, sends: bool) -> None:
    app = _counted(attributes[name], sends=sends)
    if app is not None:
        attributes[name] = app


@never_raise
def _counted(app: Any, *, sends: bool = True) -> Any:
    """Import late, because a process that serves nothing never needs it."""
    from .asgi_counter import count_requests

    return count_requests(app, sends=sends)


_HYPERCORN_LIMIT = _limit_hook(
    "WorkerContext", "max_requests", lambda context: context.requests > context.max_requests
)

HOOKS: dict[str, Hook] = {
    "uvicorn.config": _attribute_hook("Config", "loaded", "loaded_app", _watch_uvicorn),
    "gunicorn.workers.gasgi": _attribute_hook("ASGIWorker", "asgi"),
    "hypercorn.app_wrappers": _attribute_hook("ASGIWrapper", "app"),
    "granian.asgi": _granian,
    "gunicorn.workers.base": _limit_hook(
        "Worker", "max_requests", lambda worker: worker.nr >= worker.max_requests
    ),
    "uvicorn.server": _limit_hook(
        "Server",
        "server_state",
        lambda server: server.server_state.total_requests >= server.config.limit_max_requests,
    ),
    "hypercorn.asyncio.worker_context": _HYPERCORN_LIMIT,
    "hypercorn.trio.worker_context": _HYPERCORN_LIMIT,
}
