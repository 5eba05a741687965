"""`raw`: HTTP/1.1 straight on the connections of an event loop, for load beyond what client
libraries reach. There is no task and no future for a request.
"""

import asyncio
from functools import partial
from typing import Any

from control_plane.load.deadline import overdue
from control_plane.load.dispatcher import Dispatcher
from control_plane.load.phase import OpenPhase, Phase, UsersPhase
from control_plane.load.strategies.loops import new_loop
from control_plane.load.strategies.raw_dial import Dial
from control_plane.load.strategies.raw_user import User
from control_plane.load.strategies.strategy import Gear
from control_plane.load.timer import clock_ns, delay_s


class Raw:
    def __init__(self, gear: Gear) -> None:
        self._gear = gear
        self._loop = new_loop(gear.plan.client)
        self._loop.set_exception_handler(self._fail)
        self._error: BaseException | None = None
        dial = Dial(gear, self._loop)
        self._users = [User(index, gear, dial) for index in range(gear.plan.users)]

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

    async def _each(self, phase: UsersPhase) -> None:
        """Every user sees for itself when it sends next."""
        phase.start()
        self._busy = phase.users
        for index, user in enumerate(self._users[: phase.users]):
            user.enter(phase.after, self._idle)
            user.send(phase.first(index))
        await self._over

    async def _dispatched(self, phase: OpenPhase) -> None:
        dispatcher = Dispatcher(phase, self._begin, self._gear.spin)
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


def _next(dispatcher: Dispatcher, user: int, _due_ns: int, end_ns: int) -> int | None:
    return dispatcher.free(user, end_ns)
