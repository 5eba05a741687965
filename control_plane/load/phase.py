"""A part of a load in which a number of users send one request after the other."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from control_plane.load.arrivals import Arrivals
from control_plane.load.pacing import Pacing, scheduled
from control_plane.load.recorder import FAR_NS

clock_ns: Callable[[], int] = time.monotonic_ns
"""CLOCK_MONOTONIC, which all processes of a machine share."""


@dataclass
class Phase:
    """It is over for a user when all users together sent `limit` requests, or when the next one is
    due at `until_ns` or later.

    `pacing` is made from the phase's begin: `begin_ns`, or where that is None the moment in which
    all users stand ready. `on_start` is told the first intended start.

    In an open phase `pacing` gives arrivals, which belong to whichever user is free. A user that
    gets free at `until_ns` or later sends nothing more.
    """

    users: int
    pacing: Callable[[int], Pacing | Arrivals]
    begin_ns: int | None = None
    until_ns: int = FAR_NS
    limit: int = FAR_NS
    on_start: Callable[[int], None] | None = None
    open: bool = False
    _numbers: "count[int]" = field(default_factory=count)

    def start(self) -> None:
        """All users stand ready; call it once, before the first of them sends."""
        made = self.pacing(clock_ns() if self.begin_ns is None else self.begin_ns)
        pacing = scheduled(made.next_ns, made.take) if isinstance(made, Arrivals) else made
        self._first, self._after = pacing.first, pacing.after
        if self.on_start:
            self.on_start(pacing.opens_ns)

    def first(self, user: int) -> int | None:
        """The intended start of a user's first request; None when the phase is over for it."""
        return self._within(self._first(user)) if self._left() else None

    def after(self, due_ns: int, end_ns: int) -> int | None:
        """As `first`, for the next request of a user whose last one was meant to start at `due_ns`
        and ended at `end_ns`.
        """
        if (self.open and end_ns >= self.until_ns) or not self._left():
            return None
        return self._within(self._after(due_ns, end_ns))

    def arrive(self) -> int | None:
        """The next arrival of an open phase, for one who hands them out to users."""
        return self.first(0)

    def _left(self) -> bool:
        return next(self._numbers) < self.limit

    def _within(self, due_ns: int) -> int | None:
        return due_ns if due_ns < self.until_ns else None
