"""The users of a load: who sends the next arrival, and users as coroutines of one event loop."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Protocol

from control_plane.load.clock import (
    BusyWait,
    clock_ns,
    delay_s,
    overdue,
    sleep_async_until,
    sleep_until,
)
from control_plane.load.outcome import Ended, failure, outcome_of
from control_plane.load.request_source import Request
from control_plane.load.schedule import OpenPhase, PacedPhase, Phase
from control_plane.load.strategies import StrategyContext

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


Send = Callable[[Request], Awaitable[Ended]]
"""Sends one request and says how it ended.

It is cancelled once, at the deadline of the request, which is over by then: what is left to do is
to give its connection up.
"""

current_user: ContextVar[int] = ContextVar("current_user")
"""The user whose request is sent in this task."""


cut_off: ContextVar[bool] = ContextVar("cut_off", default=False)
"""Whether what came of the response of this task was kept before its deadline cut it off."""


class AsyncUsers:
    """All users of a strategy; `send` is how it sends a request."""

    def __init__(self, context: StrategyContext, send: Send) -> None:
        self._context, self._send = context, send
        self._draw = [context.source.draw_for(user) for user in range(context.plan.users)]
        self._begin, self._end = context.samples.begin, context.samples.end
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._requests: list[Request | None] = [None] * context.plan.users

    async def run(self, phase: Phase) -> None:
        """Start the phase when all users stand ready; return when all of them are through."""
        watch = asyncio.create_task(self._watch())
        try:
            await (
                self._run_open(phase) if isinstance(phase, OpenPhase) else self._run_paced(phase)
            )
        finally:
            watch.cancel()

    async def _run_paced(self, phase: PacedPhase) -> None:
        """Every user sees for itself when it sends next."""
        gate = asyncio.Event()
        self._busy = {
            user: asyncio.create_task(self._user(user, phase, gate)) for user in range(phase.users)
        }
        await asyncio.sleep(0)
        phase.start()
        gate.set()
        await asyncio.gather(*self._busy.values())

    async def _user(self, user: int, phase: PacedPhase, gate: asyncio.Event) -> None:
        current_user.set(user)
        await gate.wait()
        due_ns = phase.first(user)
        while due_ns is not None:
            if due_ns > clock_ns():
                await sleep_async_until(due_ns)
            due_ns = phase.after(due_ns, await self._request(user, due_ns))

    async def _run_open(self, phase: OpenPhase) -> None:
        """Users exist while they are busy."""
        async with asyncio.TaskGroup() as group:

            def begin(user: int, due_ns: int) -> None:
                self._busy[user] = group.create_task(work(user, due_ns))

            async def work(user: int, due_ns: int | None) -> None:
                current_user.set(user)
                while due_ns is not None:
                    due_ns = dispatcher.free(user, await self._request(user, due_ns))

            dispatcher = AsyncDispatcher(phase, begin, self._context.busy_wait)
            await dispatcher.run()

    async def _request(self, user: int, due_ns: int) -> int:
        """Send a request; return when the user is free again.

        That is at the end, or when what the deadline cut off is cleared.
        """
        self._requests[user] = request = self._draw[user]()
        self._begin(user, due_ns, clock_ns())
        try:
            ended = await self._send(request)
        except asyncio.CancelledError:
            if self._requests[user]:
                raise
        end_ns = clock_ns()
        if self._requests[user]:
            self._end(user, end_ns, outcome_of(ended))
        elif task := asyncio.current_task():
            # The watch cancelled the request, not the user.
            task.uncancel()
            if not cut_off.get():
                self._context.failures.keep(failure("timeout", len(request.body)), request)
            cut_off.set(False)
        return end_ns

    async def _watch(self) -> None:
        """End requests that are in flight for too long, each once."""
        starts, timeout_ns = self._context.samples.starts, self._context.timeout_ns
        while True:
            late, look_ns = overdue(starts(), timeout_ns, clock_ns())
            for user in late:
                self._expire(user)
            await asyncio.sleep(delay_s(look_ns))

    def _expire(self, user: int) -> None:
        """The sample ends here, however long the client takes to clear up."""
        request, self._requests[user] = self._requests[user], None
        if request:
            self._end(user, clock_ns(), failure("timeout", len(request.body)))
            self._busy[user].cancel()
