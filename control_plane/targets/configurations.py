"""Configurations: targets with names. Those that come with Looplab, and those that people add."""

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from control_plane.domain.errors import Conflict, FieldError, InvalidInput
from control_plane.domain.ids import slug
from control_plane.domain.limits import TEXT_LENGTHS, bounded_text
from control_plane.domain.server_command_lines import (
    APPLICATION_SERVERS,
    SERVERS,
    is_wsgi,
    modules_needed,
    server_defaults,
    server_label,
)
from control_plane.domain.spec import (
    BUNDLED,
    DEFAULT_THREADS,
    RESPONDER,
    RESPONDER_NAME,
    AnyTarget,
    NamedTarget,
    Spec,
    Target,
)
from control_plane.domain.spec_json import SOME_WORKLOAD, Document
from control_plane.domain.units import number_of

_DEFAULT = Target()
_ROOT = Path(__file__).resolve().parents[2]
MAX_SIMILAR, MAX_COMPARED = 3, 100
"""How many names are suggested for an unknown one, and how much of it is compared."""
_SWITCHES = {
    ("reuse_port", True): "reuse port",
    ("reload", True): "reload",
    ("access_log", True): "access log",
    ("probe", False): "no look inside",
}


@dataclass(frozen=True)
class Configuration:
    """A target with its name. `missing_extra` installs its server where `available` is false."""

    name: str
    target: Target
    builtin: bool
    available: bool
    missing_extra: str | None

    @property
    def install(self) -> str:
        """The command that brings its server; empty where it is there."""
        return "" if self.available else install_servers()

    @property
    def wsgi(self) -> bool:
        """Whether it serves WSGI applications, and not the bundled one."""
        return is_wsgi(self.target.server, self.target.worker)


def find_configuration(name: str, known: Sequence[Configuration] = ()) -> Target:
    """Return the target of a name among `known`, or among those that come with Looplab.

    Raises InvalidInput with the likest names.
    """
    if name == RESPONDER_NAME:
        return RESPONDER
    targets = {entry.name: entry.target for entry in known or CATALOGUE}
    if name in targets:
        return targets[name]
    names = list(targets)
    likest = "; ".join(get_close_matches(name[:MAX_COMPARED], names, MAX_SIMILAR, cutoff=0))
    where = f"of the {len(names)} on the Targets page"
    message = f"There is no configuration {name[:60]!r}. The likest {where}: {likest}."
    raise InvalidInput(message, (FieldError("target.configuration", message),))


def target_name(target: AnyTarget) -> str:
    """Return the name that tells a target's parts: `uvicorn, 1 worker`; defaults are left out."""
    started = target.started
    if started is None:
        return target.url
    return RESPONDER_NAME if started == RESPONDER else ", ".join(_parts(started))


def _parts(target: Target) -> Iterator[str]:
    if target.application != BUNDLED:
        yield target.application
    if target.workers is None:
        return
    yield target.server
    yield number_of(target.workers, "worker")
    yield from filter(None, (target.worker, target.loop))
    if target.http not in {None, _DEFAULT.http}:
        yield str(target.http)
    if target.threads not in {None, DEFAULT_THREADS}:
        yield number_of(target.threads or 0, "thread")
    yield from (words for (name, on), words in _SWITCHES.items() if getattr(target, name) is on)
    if target.keep_alive_s not in {None, _DEFAULT.keep_alive_s}:
        yield f"keep-alive {target.keep_alive_s} s"
    if target.backlog not in {None, _DEFAULT.backlog}:
        yield f"backlog {target.backlog}"
    if target.host is not None:
        yield f"host {target.host}"
    yield from (f"{name} {value}" for name, value in sorted(target.settings.items()))


def configuration_of(target: Target, *, name: str = "", builtin: bool = True) -> Configuration:
    """Return the target with its name, by default `target_name`, and whether it can be started."""
    available = all(map(_installed, modules_needed(target.server, target.worker)))
    missing = None if available else SERVERS[target.server].extra
    return Configuration(
        name or target_name(target),
        target,
        builtin=builtin,
        available=available,
        missing_extra=missing,
    )


def not_for_bundled(target: Target) -> str | None:
    """Return the message that it cannot serve the bundled application; None where it can."""
    if not is_wsgi(target.server, target.worker):
        return None
    server = server_label(target.server, target.worker)
    return f"{server} serves WSGI applications: choose one of your own, or another server."


def missing_server(target: Target) -> str:
    """Return the message that its server is not installed, with the remedy; empty where it is.

    Errors hold no path, so the command stands where an operator looks for it.
    """
    if not (extra := configuration_of(target).missing_extra):
        return ""
    command = "The Targets page and looplab doctor tell the command."
    return f"{target.server} is not installed: it comes with the extra looplab[{extra}]. {command}"


def install_servers(root: Path = _ROOT) -> str:
    """Return what installs all servers: of a checkout at `root`, or of the installed package."""
    pip = f"{shlex.quote(sys.executable)} -m pip install"
    if (root / "pyproject.toml").is_file():
        return f"{pip} -e {shlex.quote(f'{root}[servers]')}"
    return f'{pip} "looplab[servers]"'


@cache
def _installed(module: str) -> bool:
    return bool(module) and find_spec(module) is not None


def _variants(server: str, worker: str | None) -> Iterator[Target]:
    """The default with one worker and with two, sharing a port where the server can."""
    single = replace(
        _DEFAULT, **server_defaults(server, worker) | {"server": server, "worker": worker}
    )
    yield single
    if SERVERS[server].most_workers == 1:
        return
    yield replace(single, workers=2)
    if single.reuse_port is not None:
        yield replace(single, workers=2, reuse_port=True)


def _targets() -> Iterator[Target]:
    """Those of the default server show what each setting brings; the others what they are."""
    yield _DEFAULT
    yield replace(_DEFAULT, loop="asyncio")
    yield replace(_DEFAULT, http="h11")
    yield replace(_DEFAULT, loop="asyncio", http="h11")
    yield replace(_DEFAULT, workers=2)
    yield replace(_DEFAULT, workers=4)
    yield replace(_DEFAULT, threads=4)
    yield replace(_DEFAULT, threads=200)
    yield replace(_DEFAULT, access_log=True)
    yield replace(_DEFAULT, reload=True)
    for server, worker in _kinds():
        if server != _DEFAULT.server and not is_wsgi(server, worker):
            yield from _variants(server, worker)


def _wsgi_targets() -> Iterator[Target]:
    for server, worker in _kinds():
        if is_wsgi(server, worker):
            yield from _variants(server, worker)


def _kinds() -> Iterator[tuple[str, str | None]]:
    """Yield each server, with each kind of its workers."""
    for name, server in APPLICATION_SERVERS.items():
        yield from ((name, worker) for worker in server.workers or (None,))


BUILTIN_CONFIGURATIONS: tuple[Configuration, ...] = tuple(map(configuration_of, _targets()))
"""Those that can serve the bundled application."""
WSGI_CONFIGURATIONS: tuple[Configuration, ...] = tuple(map(configuration_of, _wsgi_targets()))
"""Those that serve WSGI applications, which only the settings name."""
CATALOGUE = (*BUILTIN_CONFIGURATIONS, *WSGI_CONFIGURATIONS)

RESERVED = {"own", RESPONDER_NAME}
"""What means something else in forms and specs."""


def for_application(target: Target, name: str) -> Target:
    """Return the target for another application, without what the bundled one alone reads."""
    return target if name == BUNDLED else replace(target, application=name, settings={})


def resolved(named: NamedTarget, known: Sequence[Configuration] = CATALOGUE) -> Target:
    """Return the target that a spec names.

    Raises InvalidInput naming the likest, or what installs a server that is missing.
    """
    found = find_configuration(named.configuration, known)
    target = found if named.host is None else replace(found, host=named.host)
    if named.application not in {None, BUNDLED}:
        return for_application(target, str(named.application))
    message = not_for_bundled(target) or missing_server(target)
    if message:
        raise InvalidInput(message, (FieldError("target.configuration", message),))
    return target


class StoredConfigurations(Protocol):
    """The configurations that people added, where they are kept."""

    def configurations(self) -> list[tuple[str, Target]]:
        """Return each with its name."""
        ...

    def add_configuration(self, name: str, target: Target) -> None:
        """Keep a target under a name. Raises Conflict."""
        ...

    def remove_configuration(self, name: str) -> None:
        """Forget a target. Raises NotFound."""
        ...


class Configurations:
    """The configurations of one database, those that come with Looplab included.

    `check` reads a document of a spec, and raises InvalidInput for what is wrong in it.
    """

    def __init__(self, store: StoredConfigurations, check: Callable[[Document], Spec]) -> None:
        self._store, self._check = store, check

    def all(self) -> tuple[Configuration, ...]:
        """Return all, those that come with Looplab first."""
        added = (
            configuration_of(target, name=name, builtin=False)
            for name, target in self._store.configurations()
        )
        return (*CATALOGUE, *added)

    def resolve(self, named: NamedTarget) -> Target:
        """Return the target of a name. Raises InvalidInput as `resolved` does."""
        return resolved(named, self.all())

    def check(self, name: str, target: Document) -> Target:
        """Check a new configuration, `target` as in a spec.

        Raises InvalidInput with every wrong field.
        """
        wrong = self._wrong_name(name)
        try:
            spec = self._check({"workload": SOME_WORKLOAD, "target": target})
        except InvalidInput as error:
            raise InvalidInput(str(error), (*wrong, *error.fields)) from None
        if spec.target.is_responder:
            message = "The bare responder serves no application: choose a server."
            wrong.append(FieldError("target.server", message))
        started = spec.target.started
        if wrong or started is None:
            raise InvalidInput(wrong[0].message if wrong else "Give its parts.", tuple(wrong))
        return started

    def add(self, name: str, target: Target) -> None:
        """Store one that was checked. Raises InvalidInput when the name is taken meanwhile."""
        try:
            self._store.add_configuration(name, target)
        except Conflict as error:
            raise InvalidInput(str(error), (FieldError("name", str(error)),)) from None

    def remove(self, name: str) -> None:
        """Remove an added one; runs that used it keep its fields.

        Raises Conflict for a builtin one, or NotFound.
        """
        if any(builtin.name == name for builtin in CATALOGUE):
            raise Conflict(f"{name} comes with Looplab and stays: copy it to change it.")
        self._store.remove_configuration(name)

    def _wrong_name(self, name: str) -> list[FieldError]:
        wrong = list(bounded_text("name", name, TEXT_LENGTHS.configuration_name, empty=False))
        if wrong:
            return wrong
        if name != name.strip():
            return [FieldError("name", f"{name!r} begins or ends with a space: leave it out.")]
        if not slug(name):
            return [FieldError("name", "Give at least one letter from a to z, or a digit.")]
        names = (*RESERVED, *(configuration.name for configuration in self.all()))
        taken = {slug(known): known for known in names}
        if like := taken.get(slug(name)):
            message = f"There is a configuration {like!r} already: choose another name."
            return [FieldError("name", message)]
        return []
