"""The configurations that come with Looplab, and the name of any other."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec

from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.spec import NamedTarget, Target, UrlTarget
from control_plane.targets.command import DEFAULT_THREADS, UVICORN_BACKLOG, UVICORN_KEEP_ALIVE_S

SERVERS_EXTRA = {"gunicorn": "servers", "hypercorn": "servers", "granian": "servers"}


@dataclass(frozen=True)
class Configuration:
    """A target with its name. `missing_extra` installs the server where `available` is false."""

    name: str
    target: Target
    builtin: bool
    available: bool
    missing_extra: str | None


def configuration(name: str) -> Target:
    """Raises InvalidInput naming what exists."""
    for known in CATALOGUE:
        if known.name == name:
            return known.target
    names = "; ".join(known.name for known in CATALOGUE)
    message = f"There is no configuration {name[:60]!r}. There are: {names}."
    raise InvalidInput(message, (FieldError("target.configuration", message),))


def name_of(target: Target | UrlTarget | NamedTarget) -> str:
    """`uvicorn, 1 worker, uvloop`: what tells configurations apart, defaults left out."""
    if isinstance(target, UrlTarget):
        return target.url
    if isinstance(target, NamedTarget):
        return target.configuration
    return ", ".join(_parts(target))


def _parts(target: Target) -> Iterator[str]:
    yield target.server
    yield f"{target.workers} worker" + ("s" if target.workers > 1 else "")
    yield target.loop or "own loop"
    if target.http not in {None, "httptools"}:
        yield target.http
    if target.threads not in {None, DEFAULT_THREADS}:
        yield f"{target.threads} thread" + ("s" if target.threads > 1 else "")
    if target.reload:
        yield "reload"
    if target.access_log:
        yield "access log"
    if target.keep_alive_s not in {None, UVICORN_KEEP_ALIVE_S}:
        yield f"keep-alive {target.keep_alive_s} s"
    if target.backlog not in {None, UVICORN_BACKLOG}:
        yield f"backlog {target.backlog}"
    yield from (f"{name} {value}" for name, value in sorted(target.settings.items()))


def _builtin(target: Target) -> Configuration:
    available = find_spec(target.server) is not None
    missing = None if available else SERVERS_EXTRA.get(target.server)
    return Configuration(
        name_of(target), target, builtin=True, available=available, missing_extra=missing
    )


_DEFAULT = Target()

CATALOGUE: tuple[Configuration, ...] = tuple(
    _builtin(target)
    for target in (
        _DEFAULT,
        replace(_DEFAULT, loop="asyncio"),
        replace(_DEFAULT, http="h11"),
        replace(_DEFAULT, loop="asyncio", http="h11"),
        replace(_DEFAULT, workers=2),
        replace(_DEFAULT, workers=4),
        replace(_DEFAULT, threads=4),
        replace(_DEFAULT, threads=200),
        replace(_DEFAULT, access_log=True),
        replace(_DEFAULT, reload=True),
    )
)
