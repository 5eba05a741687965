"""`raw`: sockets and httptools; a request goes out in the callback that ends the one before."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from control_plane.load.clock import clock_ns, delay_s, overdue
from control_plane.load.outcome import (
    ERROR_MASK,
    Outcome,
    classify,
    failure,
    parsed_response,
    response_outcome,
)
from control_plane.load.request_source import Request
from control_plane.load.sample_buffer import End
from control_plane.load.schedule import OpenPhase, PacedPhase, Phase
from control_plane.load.strategies import StrategyContext, new_loop
from control_plane.load.strategies.raw_connection import Connection, Connector
from control_plane.load.strategies.raw_response import ResponseParser
from control_plane.load.virtual_users import AsyncDispatcher

OnSameResponse = Callable[[Connection], None]
After = Callable[[int, int], int | None]
"""From the intended start and the end of a request to the intended start of the next one."""


class RawUser:
    """A user with one connection at a time, made when a request needs it."""

    def __init__(self, index: int, context: StrategyContext, connector: Connector) -> None:
        self._index, self._connector = index, connector
        self._draw, self._head = context.source.draw_for(index), connector.encoder.head
        self._begin, self._record_end = context.samples.begin, context.samples.end
        self._hear = context.samples.hear
        self._kept, self._failures = connector.kept, context.failures
        only = context.source.only_for(index)
        self._connections = context.connections
        alike = only is not None and not only.body and only.until is None
        self.repeats = alike and self._kept.keeps
        self._only_head = connector.encoder.head(only) if only is not None else b""
        self._request: Request
        self._due_ns, self._last_outcome = 0, (0, 0, 0)
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[object] | None = None

    def enter(self, after: After, idle: Callable[[], None]) -> None:
        """Begin a phase: `after` says what to send next, `idle` is called when that is nothing."""
        self._after, self._idle = after, idle
        self.on_same_response = self._on_same_response_of(
            after, self._record_end, self._index, self._only_head
        )

    def _on_same_response_of(
        self, after: After, record_end: End, index: int, head: bytes
    ) -> OnSameResponse:
        """Nothing stands between a response and the next request that need not be there."""
        clock = clock_ns

        def on_same_response(connection: Connection) -> None:
            end_ns = clock()
            due_ns = after(self._due_ns, end_ns)
            if due_ns == end_ns:
                self._due_ns = end_ns
                if record_end(index, end_ns, self._last_outcome, end_ns):
                    self._begin_now(end_ns)
                connection.write(head)
            else:
                record_end(index, end_ns, self._last_outcome)
                connection.awaiting = False
                self.send(due_ns)

        return on_same_response

    def _begin_now(self, due_ns: int) -> None:
        """Begin the request that is meant to start at `due_ns`; it is sent after this."""
        self._begin(self._index, due_ns, clock_ns())

    def expire(self) -> None:
        """End the request in flight, whose deadline has passed."""
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
            self.on_failure("timeout")
        elif self._connection is not None and self._connection.awaiting:
            status, sample = self._connection.so_far()
            self._connection.close()
            ended, end_ns = failure("timeout", len(self._request.body)), clock_ns()
            cut = failure("timeout", len(self._request.body), 0, status)
            self._failures.keep_raw(cut, self._request, sample)
            self._end(ended, end_ns)

    def on_first_byte(self, came_ns: int) -> None:
        self._hear(self._index, came_ns)

    def on_open_end(self, media_type: str) -> None:
        self._failures.note_open_end(self._request, media_type)

    def on_response(self, parser: ResponseParser) -> None:
        end_ns = clock_ns()
        request = self._request
        sent, received = len(request.body), parser.received
        ended, unmet = response_outcome(parser.status, request.expect, sent, received), ""
        if request.cookies is not None:
            request.take_cookies(parsed_response(parser.sample)[0])
        if parser.reading is not None and parser.reading.ended:
            self._connections.count_read_enough()
        if not ended[0] & ERROR_MASK and (unmet := _unmet(request, parser)):
            ended = failure("content", sent, received, parser.status)
        if ended[0] & ERROR_MASK:
            self._failures.keep_raw(ended, request, parser.sample, unmet)
        self._end(ended, end_ns)

    def on_failure(self, kind: str, received: int = 0, sample: bytes = b"") -> None:
        end_ns = clock_ns()
        ended = failure(kind, len(self._request.body), received)
        self._failures.keep_raw(ended, self._request, sample)
        self._end(ended, end_ns)

    def on_send_again(self) -> None:
        self._connection = None
        self._connect()

    def _end(self, ended: Outcome, end_ns: int) -> None:
        self._last_outcome = ended
        self._record_end(self._index, end_ns, ended)
        connection = self._connection
        if connection is not None and not (self._kept.keeps and connection.open):
            connection.close()
            self._connection = None
        due_ns = self._after(self._due_ns, end_ns)
        if due_ns == end_ns:
            self._start(due_ns)
        else:
            self.send(due_ns)

    def send(self, due_ns: int | None) -> None:
        """Send the next request at `due_ns`; None: there is none now."""
        if due_ns is None:
            self._idle()
        elif due_ns > clock_ns():
            self._connector.loop.call_later(delay_s(due_ns), self.send, due_ns)
        else:
            self._start(due_ns)

    def _start(self, due_ns: int) -> None:
        self._due_ns = due_ns
        request = self._request = self._draw()
        self._begin_now(due_ns)
        connection = self._connection
        if connection is not None and connection.is_usable():
            connection.send(self._head(request), request)
        else:
            self._connect()

    def _connect(self) -> None:
        connection = self._connector.connection(self)
        self._connecting = self._connector.open(connection)
        self._connecting.add_done_callback(partial(self._connected, connection))

    def _connected(self, connection: Connection, connecting: asyncio.Task[object]) -> None:
        error = None if connecting.cancelled() else connecting.exception()
        if error is not None or connecting.cancelled():
            self._connector.forget(connection)
        if connecting is not self._connecting:
            # It was given up at the deadline, and may have been made in the same moment.
            connection.close()
            return
        self._connecting = None
        if error is None:
            self._connection = connection
            connection.send(self._head(self._request), self._request)
        elif isinstance(error, OSError):
            self.on_failure(classify(error, ()))
        else:
            raise error


def _unmet(request: Request, parser: ResponseParser) -> str:
    if parser.reading is not None and parser.reading.missed:
        return parser.reading.missed
    if request.content is None:
        return ""
    return request.content.unmet(bytes(parser.body), parser.received)


class RawClient:
    """All users in one event loop."""

    def __init__(self, context: StrategyContext) -> None:
        self._context = context
        self._loop = new_loop(context.plan.client)
        self._loop.set_exception_handler(self._fail)
        self._error: BaseException | None = None
        connector = Connector(context, self._loop)
        self._users = [RawUser(index, context, connector) for index in range(context.plan.users)]

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
            await (
                self._run_open(phase) if isinstance(phase, OpenPhase) else self._run_paced(phase)
            )
        finally:
            self._looking.cancel()

    async def _run_paced(self, phase: PacedPhase) -> None:
        """Every user sees for itself when it sends next."""
        phase.start()
        self._busy = phase.users
        for index, user in enumerate(self._users[: phase.users]):
            user.enter(phase.after, self._idle)
            user.send(phase.first(index))
        await self._over

    async def _run_open(self, phase: OpenPhase) -> None:
        dispatcher = AsyncDispatcher(phase, self._begin, self._context.busy_wait)
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
        starts, timeout_ns = self._context.samples.starts, self._context.timeout_ns
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
