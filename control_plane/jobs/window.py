"""The window of a trial: from the first load worker that opens its own to the last one's end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from control_plane.jobs.board import Board
from control_plane.targets.watch import Watch


@dataclass
class Window:
    """`workers` is how many tell of it. `entered` is called once, when it opens."""

    workers: int
    watch: Watch
    board: Board
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
            self.watch.hold()
            self.board.close_window()
