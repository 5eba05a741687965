"""Hands the arrivals of an open phase to idle threads, each of which is a user."""

import threading
from typing import Protocol

from control_plane.load.clock import clock_ns, sleep_until
from control_plane.load.phase import OpenPhase, Phase


class StartTimes(Protocol):
    """When a user sends, as `UsersPhase` has it."""

    def first(self, user: int, /) -> int | None: ...
    def after(self, due_ns: int, end_ns: int, /) -> int | None: ...


def start_times(phase: Phase) -> StartTimes:
    """For threads, of which each is a user."""
    return ThreadDispatcher(phase) if isinstance(phase, OpenPhase) else phase


class ThreadDispatcher:
    """One idle user holds the baton: it sleeps until the next arrival is due, hands the baton to
    the user that was idle last, and sends. So nobody has to be woken up to send, and a light load
    needs few connections. While nobody is idle whoever gets free takes what waits.

    `first` and `after` are as those of a phase in which each user sees for itself, but return when
    the request is due.
    """

    def __init__(self, phase: OpenPhase) -> None:
        self._phase = phase
        self._lock = threading.Lock()
        self._held = False
        self._idle: list[threading.Lock] = []

    def first(self, _user: int) -> int | None:
        return self._next()

    def after(self, _due_ns: int, _end_ns: int) -> int | None:
        return self._next()

    def _next(self) -> int | None:
        self._take()
        due_ns = None if self._phase.over(clock_ns()) else self._phase.arrive()
        if due_ns is not None:
            sleep_until(due_ns)
        self._pass_on()
        return due_ns

    def _take(self) -> None:
        turn = threading.Lock()
        with self._lock:
            if not self._held:
                self._held = True
                return
            turn.acquire()
            self._idle.append(turn)
        # Whoever passes the baton on opens this lock.
        turn.acquire()

    def _pass_on(self) -> None:
        with self._lock:
            if self._idle:
                self._idle.pop().release()
            else:
                self._held = False
