"""When the next request of a load starts, until all users together sent their number."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from control_plane.load.arrivals import ArrivalQueue
from control_plane.load.clock import FAR_NS, clock_ns
from control_plane.load.pacing import Pacing

Starts = TypeVar("Starts", Pacing, ArrivalQueue)


@dataclass
class _Phase(Generic[Starts]):
    """A part of a load; over when all users together sent `limit` requests.

    `make` gives the intended starts from the phase's begin: `begin_ns`, or where that is None the
    moment in which all users stand ready. `on_start` is called with the first of them.
    """

    users: int
    make: Callable[[int], Starts]
    begin_ns: int | None = None
    until_ns: int = FAR_NS
    limit: int = FAR_NS
    on_start: Callable[[int], None] | None = None
    _numbers: "count[int]" = field(default_factory=count)

    _starts: Starts = field(init=False)

    def start(self) -> None:
        """Begin; call it once, when all users stand ready, before the first of them sends."""
        self._starts = self.make(clock_ns() if self.begin_ns is None else self.begin_ns)
        if self.on_start:
            self.on_start(self._starts.opens_ns)

    def _left(self) -> bool:
        return next(self._numbers) < self.limit

    def _within(self, due_ns: int) -> int | None:
        return due_ns if due_ns < self.until_ns else None


@dataclass
class PacedPhase(_Phase[Pacing]):
    """A phase in which each user sees for itself when it sends, until `until_ns`.

    `after(due_ns, end_ns)` is as `first`, for the next request of a user whose last one was meant
    to start at `due_ns` and ended at `end_ns`.
    """

    after: Callable[[int, int], int | None] = field(init=False)

    def start(self) -> None:
        super().start()
        self.after = self._after_of(self._starts.after, self._numbers, self.limit, self.until_ns)

    def first(self, user: int) -> int | None:
        """Return the intended start of a user's first request; None when the phase is over."""
        return self._within(self._starts.first(user)) if self._left() else None

    @staticmethod
    def _after_of(
        after: Callable[[int, int], int], numbers: "count[int]", limit: int, until_ns: int
    ) -> Callable[[int, int], int | None]:
        def next_start(due_ns: int, end_ns: int) -> int | None:
            if next(numbers) >= limit:
                return None
            due_ns = after(due_ns, end_ns)
            return due_ns if due_ns < until_ns else None

        return next_start


class OpenPhase(_Phase[ArrivalQueue]):
    """A phase whose arrivals belong to whichever user is free.

    At `until_ns` or later nothing is sent any more, whenever it was due.
    """

    def arrive(self) -> int | None:
        """Return the intended start of the next arrival; None when there is none in this phase."""
        return self._within(self._starts.take()) if self._left() else None

    def over(self, now_ns: int) -> bool:
        """Return whether nothing is sent any more."""
        return now_ns >= self.until_ns


Phase = PacedPhase | OpenPhase
