"""Drives users as coroutines of one event loop, for strategies whose library is awaited."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from control_plane.load.clock import clock_ns, delay_s, overdue, sleep_async_until
from control_plane.load.dispatchers import AsyncDispatcher
from control_plane.load.outcome import Ended, failure, outcome_of
from control_plane.load.request_source import Request
from control_plane.load.schedule import OpenPhase, PacedPhase, Phase
from control_plane.load.strategies.strategy import StrategyContext

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
