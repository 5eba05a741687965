"""Hands the arrivals of an open phase to idle threads, each of which is a user."""

import threading
import time

from control_plane.load.phase import Phase, clock_ns


class Baton:
    """One idle user holds the baton: it sleeps until the next arrival is due, hands the baton to
    the user that was idle last, and sends. So nobody has to be woken up to send, and a light load
    needs few connections. While nobody is idle whoever gets free takes what waits.

    `first` and `after` are those of the phase, but return when the request is due.
    """

    def __init__(self, phase: Phase) -> None:
        self._phase = phase
        self._lock = threading.Lock()
        self._held = False
        self._idle: list[threading.Lock] = []

    def first(self, user: int) -> int | None:
        self._take()
        return self._wait_until_due(self._phase.first(user))

    def after(self, due_ns: int, end_ns: int) -> int | None:
        self._take()
        return self._wait_until_due(self._phase.after(due_ns, end_ns))

    def _wait_until_due(self, due_ns: int | None) -> int | None:
        while due_ns is not None and (ahead_ns := due_ns - clock_ns()) > 0:
            time.sleep(ahead_ns / 1e9)
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
