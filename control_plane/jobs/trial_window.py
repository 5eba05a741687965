"""The window of a trial: from the first load worker that opens its own to the last one's end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from control_plane.jobs.progress import LiveRun
from control_plane.targets.sampler import Sampler


class IdleTimeout:
    """How long nothing was answered. Errors count as answers where they come more often than
    requests that only run into their deadline could: at most one for each user and deadline.
    """

    def __init__(self, users: int, timeout_s: float) -> None:
        self._users, self._timeout_s = users, timeout_s
        self._completed = self._errors = -1
        self._since_s = 0.0
        self.lasts_s = 0.0

    def look(self, completed: int, errors: int, now_s: float) -> None:
        """Take down the counts so far."""
        overdue = self._users * ((now_s - self._since_s) / self._timeout_s + 1)
        if completed != self._completed or errors - self._errors > overdue:
            self._completed, self._errors, self._since_s = completed, errors, now_s
        self.lasts_s = now_s - self._since_s


@dataclass
class Window:
    """`workers` is how many tell of it. `entered` is called once, when it opens."""

    workers: int
    watch: Sampler
    board: LiveRun
    entered: Callable[[], Awaitable[None]]
    _opened_ns: int | None = None

    async def open(self, stream: str, at_ns: int) -> None:
        """That of `stream` opened at `at_ns` of the monotonic clock."""
        first = self._opened_ns is None
        if first:
            self.watch.open_window()
        self._opened_ns = min(at_ns, self._opened_ns or at_ns)
        self.board.streams[stream].opens_s = (at_ns - self._opened_ns) / 1e9
        if first:
            await self.entered()

    def end(self) -> None:
        """That of one worker is over."""
        self.workers -= 1
        if not self.workers:
            self.watch.stop_sampling()
            self.board.close_window()
