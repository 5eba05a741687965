"""Where each server holds the application that it serves, and how it is counted there.

Every door is entered after the server has loaded the application and found out its interface, so
that factories, older interfaces and import errors are handled as ever. Nothing is imported here:
a door opens when the server imports its own module.
"""

from __future__ import annotations

import functools
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Callable

from .quiet import quietly

Opening = Callable[[ModuleType], None]

_GRANIAN_CALL = "_callback_wrapper"


def open_doors() -> None:
    sys.meta_path.insert(0, _Doorkeeper())


class _Doorkeeper:
    """A finder that finds as the path does, and opens a door once its module has run."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        opening = DOORS.get(name)
        return _watched_spec(name, path, target, opening) if opening else None


@quietly
def _watched_spec(name: str, path: Any, target: Any, opening: Opening) -> ModuleSpec | None:
    spec = PathFinder.find_spec(name, path, target)
    loader: Any = spec.loader if spec else None
    if loader is None:
        return None
    run = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        run(module)
        quietly(opening)(module)

    loader.exec_module = exec_module
    return spec


def _after(owner: str, method: str, attribute: str) -> Opening:
    """Once `owner.method` has run, what the object holds as `attribute` is counted."""

    def opening(module: ModuleType) -> None:
        holder = getattr(module, owner)
        original = getattr(holder, method)

        @functools.wraps(original)
        def entered(self: Any, *given: Any, **named: Any) -> Any:
            result = original(self, *given, **named)
            _count(self, attribute)
            return result

        setattr(holder, method, entered)

    return opening


def _granian(module: ModuleType) -> None:
    """It calls the application in two places."""
    _after("LifespanProtocol", "__init__", "callable")(module)
    original: Any = getattr(module, _GRANIAN_CALL)

    @functools.wraps(original)
    def entered(callback: Any, *given: Any, **named: Any) -> Any:
        return original(_counted(callback) or callback, *given, **named)

    setattr(module, _GRANIAN_CALL, entered)


@quietly
def _count(holder: Any, attribute: str) -> None:
    found = _counted(getattr(holder, attribute))
    if found is not None:
        setattr(holder, attribute, found)


@quietly
def _counted(app: Any) -> Any:
    """Late import: a process that serves nothing never needs it."""
    from .counting import counted

    return counted(app)


DOORS: dict[str, Opening] = {
    "uvicorn.config": _after("Config", "load", "loaded_app"),
    "gunicorn.workers.gasgi": _after("ASGIWorker", "load_wsgi", "asgi"),
    "hypercorn.app_wrappers": _after("ASGIWrapper", "__init__", "app"),
    "granian.asgi": _granian,
}
