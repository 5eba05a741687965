"""What stands around every page: the places, the state of the queue, the machine."""

import asyncio
import os
import platform
import re
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, TypeVar

from fastapi import Request

from control_plane import __version__
from control_plane.access.login import ANYONE, Caller
from control_plane.domain.limits import FEW_CORES
from control_plane.domain.units import number_of, size
from control_plane.jobs.run_service import RunService
from control_plane.pages.urls import (
    DOCS,
    EXPERIMENTS,
    GLOSSARY,
    HISTORY,
    NEW_RUN,
    TARGETS,
    WORKLOADS,
)
from control_plane.store.store import Store


@dataclass(frozen=True)
class View:
    """What a template is given, called `view` in it.

    A subclass names its template and holds exactly the fields that the template reads.
    """

    template: ClassVar[str]


Kept = TypeVar("Kept")


class PageMemory:
    """What pages keep from one request to the next: one of each kind, made when first asked for."""

    def __init__(self) -> None:
        self._kept: dict[type, Any] = {}

    def of(self, kind: type[Kept]) -> Kept:
        """Return the one of that kind."""
        if kind not in self._kept:
            self._kept.setdefault(kind, kind())
        kept: Kept = self._kept[kind]
        return kept


NAV_LINKS = (
    ("Experiments", EXPERIMENTS),
    ("History", HISTORY),
    ("Targets", TARGETS),
    ("Glossary", GLOSSARY),
    ("API", DOCS),
)
BELOW = {
    HISTORY: ("/runs/", f"{HISTORY}/", "/compare", "/import", "/trends", "/peers", "/repeat/"),
    TARGETS: (f"{TARGETS}/", WORKLOADS),
}
"""What counts as inside a place: the beginnings of the addresses."""

BUSY_POLL_S, IDLE_POLL_S = 2, 15
"""How often the top bar asks how the queue stands."""

PAGES_CPU = 0.01
"""Cores that all pages together may take from a run on a machine of two cores or fewer."""

WATCHING_CPU = 0.01
"""Cores that watching a run takes without a page."""

PACE_LOOK_S, CROWD, CROWD_LOOK_S = 3.0, 50, 0.3
"""A look at what pages take lasts so long, for a page that is opened not to count as one that asks
on and on; only the shorter time when so many have asked."""

STEEPEST, SLOWEST = 10.0, 30.0
"""How much longer one look may make the wait, and all looks together."""


class PollingPace:
    """How much seldomer pages ask while a run has load, so that they change nothing of it.

    It follows the processor time that the control plane used since the last look, and looks again
    once all pages have waited as long as it told them. Thread-safe enough: two looks at once make
    one of them count for nothing.
    """

    def __init__(
        self,
        cores: int,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.process_time,
    ) -> None:
        self._few_cores = cores <= FEW_CORES
        self._clock, self._spent = clock, spent
        self._slower = 1.0
        self._begin_look(clock(), spent())

    def every(self, seconds: float, *, loads: bool) -> float:
        """Return how long a page waits that asks each so many seconds; `loads`: a run has load."""
        now_s, spent_s = self._clock(), self._spent()
        self._asked += 1
        if not (loads and self._few_cores):
            self._slower = 1.0
            self._begin_look(now_s, spent_s)
        elif now_s - self._looked_s >= self._look_s():
            used = (spent_s - self._spent_s) / (now_s - self._looked_s) - WATCHING_CPU
            wanted = self._slower * min(used / PAGES_CPU, STEEPEST)
            self._slower = min(max(wanted, 1.0), SLOWEST)
            self._begin_look(now_s, spent_s)
        return round(seconds * self._slower, 1)

    def _begin_look(self, now_s: float, spent_s: float) -> None:
        self._looked_s, self._spent_s, self._asked = now_s, spent_s, 0

    def _look_s(self) -> float:
        """How long the look lasts; pages that wait longer than a second come back together."""
        told_s = self._slower if self._slower > 1 else 0.0
        return max(told_s, CROWD_LOOK_S if self._asked >= CROWD else PACE_LOOK_S)


SHARED_PART = 0.9
"""The part of the time until a page asks again for which others are given what it was given."""


@dataclass(frozen=True)
class Rendering:
    """What is made for all who ask before `until_s`."""

    until_s: float
    made: asyncio.Task[bytes]

    def serves(self, now_s: float) -> bool:
        """Return whether it is still in the making, or may be given away."""
        failed = self.made.done() and (self.made.cancelled() or self.made.exception())
        return now_s < self.until_s and not failed


class RenderCache:
    """Keeps what pages ask for again and again, for as long as they wait: many cost one rendering.

    It belongs to one event loop.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[Hashable, Rendering] = {}

    async def shared(self, key: Hashable, make: Callable[[], bytes], lasts_s: float) -> bytes:
        """Return what `make` returns: in a thread, once in `lasts_s` seconds for each key.

        Raises what `make` raises, which is then called again for the next who asks.
        """
        now_s = self._clock()
        kept = self._kept.get(key)
        if kept is None or not kept.serves(now_s):
            self._kept = {old: each for old, each in self._kept.items() if each.serves(now_s)}
            made = asyncio.create_task(asyncio.to_thread(make))
            kept = self._kept[key] = Rendering(now_s + lasts_s, made)
        return await asyncio.shield(kept.made)


@dataclass(frozen=True)
class NavLink:
    """`current` is the value of aria-current, None for a page elsewhere."""

    name: str
    href: str
    current: str | None


@dataclass(frozen=True)
class QueueView(View):
    """`run_id` works now; `queued` wait; asked for again after `every_s`."""

    template: ClassVar[str] = "partials/queue.html"
    run_id: str | None
    queued: int
    every_s: int


@dataclass(frozen=True)
class Shell:
    """The places of the top bar, the queue, and the machine; `queue` None: it is not known.

    `fault`: why the database takes nothing any more. `caller`: who is logged in, or nobody; without
    a login everybody is `ANYONE`.
    """

    places: tuple[NavLink, ...]
    queue: QueueView | None
    machine: str
    version: str
    fault: str | None
    caller: Caller | None

    @property
    def logged_in(self) -> Caller | None:
        """Who may log out."""
        return None if self.caller is ANYONE else self.caller


def shell_of(request: Request) -> Shell:
    """Return what stands around the page that is asked for."""
    service: RunService = request.state.service
    store: Store = request.state.store
    return _shell(request, queue_view(service), service.cpu_model(), store.fault())


def quiet_shell(request: Request) -> Shell:
    """Return the shell without queue and processor, which store and run service know."""
    return _shell(request, None, "")


def queue_view(service: RunService) -> QueueView:
    """Return how the queue stands, asked for again soon while something runs or waits."""
    view = service.queue_status()
    running = view.running.id if view.running else None
    return QueueView(running, view.queued, BUSY_POLL_S if running or view.queued else IDLE_POLL_S)


def _shell(
    request: Request, queue: QueueView | None, cpu_model: str, fault: str | None = None
) -> Shell:
    places = tuple(_places(request.url.path))
    caller: Caller | None = request.state.caller
    # Whoever is not logged in is told nothing about the machine.
    facts = machine(cpu_model) if caller else ""
    return Shell(places, queue, facts, __version__, fault, caller)


def _places(path: str) -> Iterator[NavLink]:
    for name, href in NAV_LINKS:
        below = path.startswith(BELOW.get(href, (href + "/",)))
        inside = below and not path.startswith(NEW_RUN)
        current = "page" if path == href else "true" if inside else None
        yield NavLink(name, href, current)


@cache
def machine(cpu_model: str) -> str:
    """Return `2 cores AMD EPYC, 25.3 GB · Linux 6.1 · Python 3.11.7`."""
    cores = os.cpu_count() or 1
    name = re.sub(r"\((R|TM)\)|\bCPU\b|@.*|\bProcessor\b|\d+-Core", "", cpu_model).split()
    processor = f"{number_of(cores, 'core')} {' '.join(name)}"
    memory = size(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    kernel = ".".join(platform.release().split("-")[0].split(".")[:2])
    return " · ".join(
        (
            f"{processor.strip()}, {memory}",
            f"{platform.system()} {kernel}",
            f"Python {platform.python_version()}",
        )
    )
