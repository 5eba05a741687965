"""Sends requests with requests in a ThreadPoolExecutor (`threaded`): one thread for each user."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from control_plane.load.dispatchers import start_times
from control_plane.load.phase import Phase
from control_plane.load.strategies.requests_client import RequestsClient
from control_plane.load.strategies.strategy import StrategyContext

_WAKE_UPS_PER_S = 10_000


class ThreadedClient:
    """All users as threads, which have a session each or share one."""

    def __init__(self, context: StrategyContext) -> None:
        shared = context.plan.client.session == "shared"
        self._client = RequestsClient(context, sessions=1 if shared else context.plan.users)
        self._threads = ThreadPoolExecutor(max_workers=context.plan.users)
        # Each thread that waits for the interpreter wakes up once in an interval; hundreds that do
        # so all the time take the core from those that could work.
        sys.setswitchinterval(max(sys.getswitchinterval(), context.plan.users / _WAKE_UPS_PER_S))

    def run(self, phase: Phase) -> None:
        barrier = _StartBarrier(phase.users, phase.start)
        times = start_times(phase)
        users = [
            self._threads.submit(self._client.drive, user, times, barrier.wait)
            for user in range(phase.users)
        ]
        for user in users:
            user.result()
        barrier.remove()


class _StartBarrier:
    """Holds threads back until all are there, then lets them go at once.

    It is a pipe, which wakes all its readers together. A Barrier wakes one after the other, and
    each waits for the interpreter between those that work already: 500 took seconds.
    """

    def __init__(self, users: int, opened: Callable[[], None]) -> None:
        self._users, self._opened = users, opened
        self._arrivals = count(1)
        self._reader, self._writer = os.pipe()

    def wait(self) -> None:
        """Return when all are there; the last one to come calls `opened` before anybody goes."""
        if next(self._arrivals) == self._users:
            self._opened()
            os.close(self._writer)
        else:
            os.read(self._reader, 1)

    def remove(self) -> None:
        os.close(self._reader)
