"""Where each server holds the application that it serves, and how it is counted there.

A door is an attribute: once the server has loaded the application, found out its interface and set
the attribute, what it holds is counted. No function of a server is wrapped on the way there, so
that factories, import errors and their tracebacks are as ever. Nothing is imported here: a door
opens when the server imports its own module.
"""

from __future__ import annotations

import functools
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Callable, Optional

from .never_raise import never_raise

Hook = Callable[[ModuleType], None]
Told = Callable[[Any], Optional[bool]]
"""Whether what a holder belongs to tells of answers itself."""

_GRANIAN_CALL = "_callback_wrapper"


def install() -> None:
    sys.meta_path.insert(0, _ImportHook())


class _ImportHook:
    """A finder that finds as the path does, and opens a door once its module has run."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        opening = HOOKS.get(name)
        return _watched_spec(name, path, target, opening) if opening else None


@never_raise
def _watched_spec(name: str, path: Any, target: Any, opening: Hook) -> ModuleSpec | None:
    spec = PathFinder.find_spec(name, path, target)
    loader: Any = spec.loader if spec else None
    if loader is None:
        return None
    run = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        run(module)
        never_raise(opening)(module)

    loader.exec_module = exec_module
    return spec


class _AttributeHook:
    """Counts what the holder has as `held` once something is set here.

    It has no `__get__`: reading costs what it did, and finds the value in the holder itself.
    """

    def __init__(self, name: str, held: str, told: Told) -> None:
        self._name, self._held, self._told = name, held, told

    def __set__(self, holder: Any, value: Any) -> None:
        vars(holder)[self._name] = value
        if value is not None and value is not False:
            _count(vars(holder), self._held, told=bool(self._told(holder)))


def _nobody(_holder: Any) -> bool:
    """Answers are counted as they are sent."""
    return False


@never_raise
def _uvicorn(config: Any) -> bool | None:
    from .asgi_counter import watch_connections

    return watch_connections(config)


def _attribute_hook(owner: str, name: str, held: str | None = None, told: Told = _nobody) -> Hook:
    def opening(module: ModuleType) -> None:
        setattr(getattr(module, owner), name, _AttributeHook(name, held or name, told))

    return opening


def _granian(module: ModuleType) -> None:
    """It calls the application in two places."""
    _attribute_hook("LifespanProtocol", "callable")(module)
    original: Any = getattr(module, _GRANIAN_CALL)

    @functools.wraps(original)
    def entered(callback: Any, *given: Any, **named: Any) -> Any:
        return original(_counted(callback) or callback, *given, **named)

    setattr(module, _GRANIAN_CALL, entered)


@never_raise
def _count(holder: dict[str, Any], held: str, *, told: bool) -> None:
    found = _counted(holder[held], told=told)
    if found is not None:
        holder[held] = found


@never_raise
def _counted(app: Any, *, told: bool = False) -> Any:
    """Late import: a process that serves nothing never needs it."""
    from .asgi_counter import count_requests

    return count_requests(app, told=told)


HOOKS: dict[str, Hook] = {
    "uvicorn.config": _attribute_hook("Config", "loaded", "loaded_app", _uvicorn),
    "gunicorn.workers.gasgi": _attribute_hook("ASGIWorker", "asgi"),
    "hypercorn.app_wrappers": _attribute_hook("ASGIWrapper", "app"),
    "granian.asgi": _granian,
}
