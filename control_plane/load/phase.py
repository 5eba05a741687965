"""A part of a load in which a number of users send one request after the other."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from control_plane.load.pacing import Pacing
from control_plane.load.recorder import FAR_NS

clock_ns: Callable[[], int] = time.monotonic_ns
"""CLOCK_MONOTONIC, which all processes of a machine share."""


@dataclass
class Phase:
    """It is over for a user when all users together sent `limit` requests, or when the next one is
    due at `until_ns` or later.

    `pacing` is made from the phase's begin: `begin_ns`, or where that is None the moment in which
    all users stand ready. `on_start` is told.
    """

    users: int
    pacing: Callable[[int], Pacing]
    begin_ns: int | None = None
    until_ns: int = FAR_NS
    limit: int = FAR_NS
    on_start: Callable[[int], None] | None = None
    _numbers: "count[int]" = field(default_factory=count)

    def start(self) -> None:
        """All users stand ready; call it once, before the first of them enters."""
        begin_ns = clock_ns() if self.begin_ns is None else self.begin_ns
        pacing = self.pacing(begin_ns)
        self.entry, self._due = pacing.entry, pacing.due
        if self.on_start:
            self.on_start(begin_ns)

    def turn(self, previous_ns: int) -> int | None:
        """The intended start of a user's next request; None when the phase is over for it.

        `previous_ns` is the end of the user's last request, or its `entry`.
        """
        number = next(self._numbers)
        if number >= self.limit:
            return None
        due_ns = self._due(number, previous_ns)
        return due_ns if due_ns < self.until_ns else None
