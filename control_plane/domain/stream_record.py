"""What load workers hand back: raw counts and histograms, before anything is judged."""

from collections.abc import Mapping
from dataclasses import dataclass

from control_plane.domain.histogram import Histogram


@dataclass(frozen=True)
class Second:
    """The requests of one stream that ended in second `index` (from 0) of the window.

    The last second before the window is -1. The histograms hold completed requests only.
    """

    index: int
    errors: int
    service: Histogram
    response: Histogram

    @property
    def completed(self) -> int:
        """How many requests completed in it."""
        return self.service.total


@dataclass(frozen=True, kw_only=True)
class WindowTotals:
    """The counts of one stream over one window, as the recorder of a load worker saw it.

    `opened_ns` is the window's start on the monotonic clock. `in_flight_ns` holds the ages, from
    the intended start, of the requests in flight when the window ended. `in_system_ns` is the sum
    over all requests of the time between actual start and end that fell inside the window, those
    in flight included; `away_ns` the sum of the times inside it in which users thought, or had
    thought enough and had not sent yet. `awaited_ns`: how long after the window responses
    were awaited, which the ages hold. Of an open load, `answered` counts what completed inside the
    window, whenever it was meant to start (None: all that completed), and `late` what was meant to
    start there and completed after.
    """

    opened_ns: int
    duration_ns: int
    errors: Mapping[str, int]
    statuses: Mapping[str, int]
    in_flight_ns: tuple[int, ...]
    sent: int
    send_lag: Histogram | None
    bytes_sent: int
    bytes_received: int
    in_system_ns: int
    away_ns: int = 0
    awaited_ns: int = 0
    answered: int | None = None
    late: int = 0

    @property
    def closed_ns(self) -> int:
        """The end of the window on the monotonic clock."""
        return self.opened_ns + self.duration_ns

    @property
    def ended(self) -> int:
        """How many requests had an outcome in the window."""
        return self.sent - len(self.in_flight_ns)


@dataclass(frozen=True, kw_only=True)
class WorkerUsage:
    """What a load worker used inside a window.

    `new_connections` counts those opened from the window's start on, `connections` the most that
    were open or being made at once, `sent_again` the requests that went out a second time because
    their kept connection was closed. `cpu_s` is processor time, `spin_s` the part of it spent
    waiting actively.
    """

    new_connections: int
    connections: int
    sent_again: int
    cpu_s: float
    spin_s: float
    peak_memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class StreamRecord(WindowTotals, WorkerUsage):
    """One stream over one window: its totals, its seconds, and what its load worker used.

    `intended` counts the requests that were meant to start in the window. `warmup` holds the
    seconds before the window, in which the same load ran for `warmup_s`; nothing else counts them.
    `numbers`: below it lie all that its sequences took, warm-up included.
    """

    name: str
    intended: int
    seconds: tuple[Second, ...] = ()
    warmup: tuple[Second, ...] = ()
    warmup_s: float = 0.0
    numbers: int = 0
