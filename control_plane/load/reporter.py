"""Sends the parent process how the window goes: when it opened, each second, the result."""

import resource
import time
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from pathlib import Path
from threading import Event

from control_plane.domain.stream_record import Second, StreamRecord, WindowTotals, WorkerUsage
from control_plane.load.clock import FAR_NS, SECOND_NS, clock_ns
from control_plane.load.schedule import ArrivalCounter
from control_plane.load.strategies import StrategyContext
from control_plane.load.window_stats import WindowStats
from control_plane.load.worker_protocol import (
    Draining,
    Message,
    OpenEnds,
    WindowClosed,
    WindowOpened,
)

_GRACE_NS = 20_000_000
"""A second is sent this much after its end, when threads have handed in their last samples."""

_OVERTIME_NS = 500_000_000
"""How much longer than their deadline open requests are awaited."""

_DRAINING_NS = 500_000_000
"""How often it is sent how many requests are still awaited."""

_DUE_NS, _DUE_LOOK_S = 500_000_000, 0.005
"""How long answers that are due may come after a window, and how often it is looked for them."""


class Reporter:
    """Follows the window of a stream and sends messages about it.

    `open`, `close` and `abort` may be called from any thread.
    """

    def __init__(
        self, context: StrategyContext, stats: WindowStats, send: Callable[[Message], None]
    ) -> None:
        self._context, self._stats, self._send = context, stats, send
        self._known, self._over, self._drained = Event(), Event(), Event()
        self._opened_ns, self._next, self._aborted = 0, 0, False
        self._closes_ns: int | None = None
        self._open_ends: dict[str, str] = {}
        self._arrivals: ArrivalCounter | None = None
        self._told = (0, 0)

    def open(self, opened_ns: int, closes_ns: int | None = None) -> None:
        """Begin the window at `opened_ns`; it ends at `closes_ns`, or when `close` is called."""
        self._opened_ns, self._closes_ns = opened_ns, closes_ns
        if closes_ns is None:
            self._stats.open(opened_ns)
            self._begin()
        else:
            early = ceil(round(self._context.plan.early_s, 6))
            self._next = -early
            self._stats.open(opened_ns, closes_ns, early)
        self._known.set()

    def close(self) -> None:
        """End the window, because every request ended.

        One that ends by the clock goes on without them.
        """
        self._drained.set()
        if self._closes_ns is None:
            self._over.set()

    def abort(self) -> None:
        """Let `run` return at once, because the load failed."""
        self._aborted = True
        self._over.set()
        self._drained.set()
        self._known.set()

    def run(self, name: str, arrivals: ArrivalCounter | None = None) -> StreamRecord | None:
        """Follow the window to its end and return its record; None when the load failed.

        The record is that of the stream called `name`; its seconds were sent on the way.
        `arrivals` counts the requests that are meant to start in the window; None where they are
        as many as are sent.
        """
        self._arrivals = arrivals
        self._known.wait()
        if self._closes_ns is not None:
            self._warm_up()
        if not self._aborted:
            self._send(WindowOpened(self._opened_ns))
        while not self._wait_until(self._look_ns()):
            if clock_ns() >= self._end_ns:
                break
            self._send_next()
        used = self._used()
        if not self._aborted:
            self._send(WindowClosed())
        self._await_due()
        self._await_responses()
        if self._aborted:
            return None
        totals = self._stats.close(self._closes_ns, clock_ns() if self._awaits else None)
        while self._opened_ns + self._next * SECOND_NS < totals.closed_ns:
            self._send_next()
        intended = arrivals.until(totals.closed_ns) if arrivals else None
        return self._record(name, totals, used, intended)

    def _warm_up(self) -> None:
        """Send the seconds before the window, but for the last one: that is sent in the window."""
        while self._next < -1 and not self._wait_until(self._look_ns()):
            self._send_next()
        self._wait_until(self._opened_ns)
        self._begin()

    def _begin(self) -> None:
        self._context.connections.open_window()
        self._used_before = time.process_time(), self._context.busy_wait.spent_ns / 1e9

    def _used(self) -> tuple[float, float]:
        """Seconds of processor time in the window, and the part of them spent waiting actively."""
        cpu_s, spin_s = self._used_before
        return time.process_time() - cpu_s, self._context.busy_wait.spent_ns / 1e9 - spin_s

    @property
    def _awaits(self) -> bool:
        """Whether responses are awaited after the end of the window."""
        return self._context.plan.traits.is_open and self._closes_ns is not None

    def _await_due(self) -> None:
        """Wait shortly for what outlasted every completed request: its answer may be due now."""
        if self._awaits or self._closes_ns is None:
            return
        last_ns = self._closes_ns + _DUE_NS
        while clock_ns() < last_ns and not self._drained.is_set() and self._stats.outlasting():
            self._drained.wait(_DUE_LOOK_S)

    def _await_responses(self) -> None:
        """Requests have deadlines of their own; this one is for those that miss theirs."""
        if not self._awaits:
            return
        last_ns = self._end_ns + self._context.timeout_ns + _OVERTIME_NS
        while not self._drained.is_set() and (left_ns := last_ns - clock_ns()) > 0:
            self._send(Draining(self._stats.waiting()))
            self._drained.wait(min(left_ns, _DRAINING_NS) / 1e9)

    @property
    def _end_ns(self) -> int:
        return FAR_NS if self._closes_ns is None else self._closes_ns

    def _look_ns(self) -> int:
        """When the present second can be sent, or the window ends."""
        over_ns = self._opened_ns + (self._next + 1) * SECOND_NS + _GRACE_NS
        return min(over_ns, self._end_ns)

    def _wait_until(self, at_ns: int) -> bool:
        """Whether the window was over by then."""
        return self._over.wait(max(0, at_ns - clock_ns()) / 1e9)

    def _send_next(self) -> None:
        second = self._stats.take(self._next)
        if self._arrivals is not None and self._next >= 0:
            second = self._with_starts(second, self._arrivals)
        self._send(second)
        self._next += 1
        known = self._context.failures.open_ends()
        if known != self._open_ends:
            self._open_ends = known
            self._send(OpenEnds(known))

    def _with_starts(self, second: Second, arrivals: ArrivalCounter) -> Second:
        """Say how many requests were meant to start since the last second was sent, and did."""
        end_ns = min(self._opened_ns + (self._next + 1) * SECOND_NS, self._end_ns)
        intended, sent = arrivals.until(end_ns), self._stats.sent_before(end_ns)
        before = self._told
        # A request that ends while they are counted is missed, until the next second.
        self._told = intended, max(sent, before[1])
        return replace(second, intended=intended - before[0], sent=self._told[1] - before[1])

    def _record(
        self, name: str, totals: WindowTotals, used: tuple[float, float], intended: int | None
    ) -> StreamRecord:
        cpu_s, spin_s = used
        usage = WorkerUsage(
            new_connections=self._context.connections.opened(),
            connections=self._context.connections.most(),
            sent_again=self._context.connections.sent_again(),
            read_enough=self._context.connections.read_enough(),
            cpu_s=cpu_s,
            spin_s=spin_s,
            peak_memory_bytes=peak_memory_bytes(),
        )
        return StreamRecord(
            name=name,
            intended=totals.sent if intended is None else intended,
            warmup_s=self._context.plan.early_s,
            failures=self._context.failures.kept(),
            open_ends=self._context.failures.open_ends(),
            **vars(totals),
            **vars(usage),
        )


def peak_memory_bytes() -> int:
    """Return the most memory that this process took so far.

    ru_maxrss starts with that of the parent, so the kernel's own mark is read where it is.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024
