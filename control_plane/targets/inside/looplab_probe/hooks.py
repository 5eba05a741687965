"""Import hooks that count the requests of each server: one entry of `HOOKS` for each module.

Most hooks replace an attribute: once the server has loaded the application, found out its interface
and set the attribute, requests to the application are counted. No function of a server is wrapped
on the way there, so that factories, import errors and their tracebacks are as ever. Nothing is
imported here: a hook runs when the server has imported its own module.
"""

from __future__ import annotations

import functools
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Callable, Optional

from .never_raise import never_raise

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
    """Counts the requests of the owner's attribute `application` once something is set here.

    It has no `__get__`: reading costs what it did, and finds the value in the owner itself.
    """

    def __init__(self, name: str, application: str, watch: WatchConnections) -> None:
        self._name, self._application, self._watch = name, application, watch

    def __set__(self, owner: Any, value: Any) -> None:
        vars(owner)[self._name] = value
        if value is not None and value is not False:
            _count(vars(owner), self._application, sends=not self._watch(owner))


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
    """Watch the attribute `name` of a class; `application` is the one that has it, if another."""

    def hook(module: ModuleType) -> None:
        setattr(getattr(module, owner), name, _AttributeHook(name, application or name, watch))

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


HOOKS: dict[str, Hook] = {
    "uvicorn.config": _attribute_hook("Config", "loaded", "loaded_app", _watch_uvicorn),
    "gunicorn.workers.gasgi": _attribute_hook("ASGIWorker", "asgi"),
    "hypercorn.app_wrappers": _attribute_hook("ASGIWrapper", "app"),
    "granian.asgi": _granian,
}
