"""Hands the arrivals of an open phase to idle users, be they coroutines of a loop or threads.

One of them waits for the next arrival, so that idle users cost nothing and need no timers.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Protocol

from control_plane.load.clock import BusyWait, clock_ns, sleep_until
from control_plane.load.schedule import OpenPhase, Phase

BeginRequest = Callable[[int, int], None]
"""Lets a user, who is idle, send the request that is meant to start at a moment. Returns at once;
when the request ended the user calls `AsyncDispatcher.free`."""


class AsyncDispatcher:
    """Hands arrivals to users of one event loop.

    Arrivals that find no idle user wait, in order, and keep their intended start. The user that was
    idle last gets the next one, so that a light load needs few connections.
    """

    def __init__(self, phase: OpenPhase, begin: BeginRequest, busy_wait: BusyWait) -> None:
        self._phase, self._begin, self._busy_wait = phase, begin, busy_wait
        self._idle = list(range(phase.users - 1, -1, -1))
        self._freed = asyncio.Event()
        self._due_ns: int | None = None

    async def run(self) -> None:
        """Start the phase; return when every arrival was handed out or the phase is over.

        Users may still be busy then.
        """
        self._phase.start()
        self._due_ns = self._phase.arrive()
        while self._due_ns is not None and not self._phase.over(clock_ns()):
            if self._due_ns > clock_ns():
                # It may be taken by a user meanwhile, so look again.
                await self._busy_wait.until(self._due_ns)
            elif self._idle:
                due_ns, self._due_ns = self._due_ns, self._phase.arrive()
                self._begin(self._idle.pop(), due_ns)
            else:
                self._freed.clear()
                await self._freed.wait()

    def free(self, user: int, end_ns: int) -> int | None:
        """Return the arrival that waited for `user`, whose request ended at `end_ns`: to be sent
        now.

        None where none waited: the user is idle then.
        """
        due_ns = self._due_ns
        if due_ns is None or due_ns > end_ns or self._phase.over(end_ns):
            self._idle.append(user)
            self._freed.set()
            return None
        self._due_ns = self._phase.arrive()
        return due_ns


class StartTimes(Protocol):
    """When a user sends, as `PacedPhase` has it."""

    def first(self, user: int, /) -> int | None: ...
    def after(self, due_ns: int, end_ns: int, /) -> int | None: ...


def start_times(phase: Phase) -> StartTimes:
    """Return the start times of a phase for threads, of which each is a user."""
    return ThreadDispatcher(phase) if isinstance(phase, OpenPhase) else phase


class ThreadDispatcher:
    """Hands arrivals to threads, one of which has the turn: it sleeps until the next arrival is
    due, gives the turn to the user that was idle last, and sends.

    So nobody has to be woken up to send, and a light load needs few connections. While nobody is
    idle whoever gets free takes what waits.

    `first` and `after` are as those of a phase in which each user sees for itself, but return when
    the request is due.
    """

    def __init__(self, phase: OpenPhase) -> None:
        self._phase = phase
        self._lock = threading.Lock()
        self._turn_taken = False
        self._idle: list[threading.Lock] = []

    def first(self, _user: int) -> int | None:
        return self._next()

    def after(self, _due_ns: int, _end_ns: int) -> int | None:
        return self._next()

    def _next(self) -> int | None:
        self._take_turn()
        due_ns = None if self._phase.over(clock_ns()) else self._phase.arrive()
        if due_ns is not None:
            sleep_until(due_ns)
        with self._lock:
            if self._idle:
                self._idle.pop().release()
            else:
                self._turn_taken = False
        return due_ns

    def _take_turn(self) -> None:
        turn = threading.Lock()
        with self._lock:
            if not self._turn_taken:
                self._turn_taken = True
                return
            turn.acquire()
            self._idle.append(turn)
        # Whoever gives the turn away opens this lock.
        turn.acquire()
