"""One user of the raw strategy: the next request goes out in the callback that ends the last."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from control_plane.load.async_dispatcher import AsyncDispatcher
from control_plane.load.clock import clock_ns, delay_s, overdue
from control_plane.load.outcome import Outcome, classify, failure, response_outcome
from control_plane.load.phase import OpenPhase, PacedPhase, Phase
from control_plane.load.recorder import End
from control_plane.load.request_source import Request
from control_plane.load.strategies.raw_connection import Connection, Connector
from control_plane.load.strategies.raw_response import ResponseParser
from control_plane.load.strategies.strategy import StrategyContext, new_loop

Again = Callable[[Connection], None]
After = Callable[[int, int], int | None]
"""From the intended start and the end of a request to the intended start of the next one."""


class RawUser:
    """Has one connection at a time, made when a request needs it."""

    def __init__(self, index: int, gear: StrategyContext, dial: Connector) -> None:
        self._index, self._dial = index, dial
        self._draw, self._head = gear.source.draw, dial.wires.head
        self._begin, self._record = gear.recorder.begin, gear.recorder.end
        self._reuse = gear.plan.client.reuse_connections
        only = gear.source.only
        self.repeats = only is not None and not only.body and self._reuse
        self._wire = dial.wires.head(only) if only is not None else b""
        self._request: Request
        self._due_ns, self._last = 0, (0, 0, 0)
        self._line: Connection | None = None
        self._dialing: asyncio.Task[object] | None = None

    def enter(self, after: After, idle: Callable[[], None]) -> None:
        """A phase begins: `after` says what to send next, `idle` is told when that is nothing."""
        self._after, self._idle = after, idle
        self.again = self._again_of(after, self._record, self._index, self._wire)

    def _again_of(self, after: After, record: End, index: int, wire: bytes) -> Again:
        """Nothing stands between an answer and the next request that need not be there."""
        clock = clock_ns

        def again(line: Connection) -> None:
            end_ns = clock()
            due_ns = after(self._due_ns, end_ns)
            if due_ns == end_ns:
                self._due_ns = end_ns
                if record(index, end_ns, self._last, end_ns):
                    self._begun(end_ns)
                line.write(wire)
            else:
                record(index, end_ns, self._last)
                line.asked = False
                self.send(due_ns)

        return again

    def _begun(self, due_ns: int) -> None:
        """The request that is meant to start at `due_ns` is sent after this."""
        self._begin(self._index, due_ns, clock_ns())

    def expire(self) -> None:
        """The deadline of the request in flight has passed."""
        if self._dialing is not None:
            self._dialing.cancel()
            self._dialing = None
            self.on_failure("timeout")
        elif self._line is not None and self._line.asked:
            self._line.close()
            self.on_failure("timeout")

    def on_response(self, answer: ResponseParser) -> None:
        request = self._request
        self._ended(
            response_outcome(answer.status, request.expect, len(request.body), answer.received)
        )

    def on_failure(self, kind: str, received: int = 0) -> None:
        self._ended(failure(kind, len(self._request.body), received))

    def _ended(self, ended: Outcome) -> None:
        end_ns = clock_ns()
        self._last = ended
        self._record(self._index, end_ns, ended)
        line = self._line
        if line is not None and not (self._reuse and line.open):
            line.close()
            self._line = None
        due_ns = self._after(self._due_ns, end_ns)
        if due_ns == end_ns:
            self._start(due_ns)
        else:
            self.send(due_ns)

    def send(self, due_ns: int | None) -> None:
        """The next request, meant to start at `due_ns`; None: there is none now."""
        if due_ns is None:
            self._idle()
        elif due_ns > clock_ns():
            self._dial.loop.call_later(delay_s(due_ns), self.send, due_ns)
        else:
            self._start(due_ns)

    def _start(self, due_ns: int) -> None:
        self._due_ns = due_ns
        request = self._request = self._draw()
        self._begun(due_ns)
        line = self._line
        if line is not None and line.open:
            line.ask(self._head(request), request)
        else:
            self._connect()

    def _connect(self) -> None:
        line = self._dial.line(self)
        self._dialing = self._dial.start(line)
        self._dialing.add_done_callback(partial(self._connected, line))

    def _connected(self, line: Connection, dialing: asyncio.Task[object]) -> None:
        error = None if dialing.cancelled() else dialing.exception()
        if dialing is not self._dialing:
            # It was given up at the deadline, and may have been made in the same moment.
            line.close()
            return
        self._dialing = None
        if error is None:
            self._line = line
            line.ask(self._head(self._request), self._request)
        elif isinstance(error, OSError):
            self.on_failure(classify(error, ()))
        else:
            raise error


class RawClient:
    def __init__(self, gear: StrategyContext) -> None:
        self._gear = gear
        self._loop = new_loop(gear.plan.client)
        self._loop.set_exception_handler(self._fail)
        self._error: BaseException | None = None
        dial = Connector(gear, self._loop)
        self._users = [RawUser(index, gear, dial) for index in range(gear.plan.users)]

    def run(self, phase: Phase) -> None:
        running = self._loop.create_task(self._run(phase))
        running.add_done_callback(lambda _: self._loop.stop())
        self._loop.run_forever()
        if self._error is not None:
            raise self._error
        running.result()

    async def _run(self, phase: Phase) -> None:
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._look()
        try:
            await (self._dispatched(phase) if isinstance(phase, OpenPhase) else self._each(phase))
        finally:
            self._looking.cancel()

    async def _each(self, phase: PacedPhase) -> None:
        """Every user sees for itself when it sends next."""
        phase.start()
        self._busy = phase.users
        for index, user in enumerate(self._users[: phase.users]):
            user.enter(phase.after, self._idle)
            user.send(phase.first(index))
        await self._over

    async def _dispatched(self, phase: OpenPhase) -> None:
        dispatcher = AsyncDispatcher(phase, self._begin, self._gear.spin)
        for index, user in enumerate(self._users[: phase.users]):
            user.enter(partial(_next, dispatcher, index), self._idle)
        # The dispatcher is one of those that must be through.
        self._busy = 1
        await dispatcher.run()
        self._idle()
        await self._over

    def _begin(self, user: int, due_ns: int) -> None:
        self._busy += 1
        self._users[user].send(due_ns)

    def _idle(self) -> None:
        self._busy -= 1
        if not self._busy:
            self._over.set_result(None)

    def _look(self) -> None:
        """End requests that are in flight for too long."""
        starts, timeout_ns = self._gear.recorder.starts, self._gear.timeout_ns
        late, look_ns = overdue(starts(), timeout_ns, clock_ns())
        for user in late:
            self._users[user].expire()
        self._looking = self._loop.call_later(delay_s(look_ns), self._look)

    def _fail(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback raised, which is an error of this program: nobody else would see it."""
        error = context.get("exception")
        if not isinstance(error, OSError):
            self._error = error or RuntimeError(context["message"])
            self._loop.stop()


def _next(dispatcher: AsyncDispatcher, user: int, _due_ns: int, end_ns: int) -> int | None:
    return dispatcher.free(user, end_ns)
