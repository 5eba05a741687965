"""The heartbeat of the event loop that serves the application."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from array import array
from typing import Any, MutableSequence

from . import never_raise
from .ring import (
    ANSWERED_CELL,
    BEATS_SUFFIX,
    FOLDER_VARIABLE,
    HEADER_CELLS,
    PERIOD_NS,
    STACKS_SUFFIX,
    Beat,
    RingWriter,
)
from .stack_dumps import FIRST_S, StackDumper, open_stack_dumper
from .thread_pool import PoolTokens

PERIOD_S = PERIOD_NS / 1e9
_LATE_NS = int(FIRST_S * 1e9) // 2
"""No stack was written for a beat that is less late."""


class Heartbeat:
    """A periodic callback of the event loop that records its lag; one for each process.

    `begun` and `answered` count requests, `header` is the shared memory that shows them at once.
    `tried`: `start` was called. `armed`: stacks are written, or cannot be.
    """

    def __init__(self) -> None:
        self.begun = self.answered = 0
        self.header: MutableSequence[int] | memoryview = array("q", bytes(8 * HEADER_CELLS))
        self.tried = self.armed = False
        self._gc_ns = self._gc_since_ns = self._due_ns = 0
        self._writer: RingWriter | None = None
        self._stacks: StackDumper | None = None
        self._stacks_path = ""
        self._stack_bytes = 0
        self._pool = PoolTokens()
        self._loop: asyncio.AbstractEventLoop | None = None

    @never_raise
    def start(self) -> None:
        """Beat from now on in the running loop; nothing where no folder is named to write to."""
        self.tried = True
        folder = os.environ.get(FOLDER_VARIABLE)
        if not folder:
            return
        self._loop = asyncio.get_running_loop()
        path = os.path.join(folder, str(os.getpid()))
        self._writer = RingWriter(path + BEATS_SUFFIX)
        self.header = self._writer.header
        self._stacks_path = path + STACKS_SUFFIX
        gc.callbacks.append(self._on_collection)
        self._due_ns = time.monotonic_ns()
        self._beat()

    @never_raise
    def arm(self) -> None:
        """Write stacks from now on. Called at the first request, when signals have been taken."""
        self.armed = True
        if self._writer is not None:
            self._stacks = open_stack_dumper(self._stacks_path)

    def count_abandoned(self) -> None:
        """Count a request that ends without a response as answered."""
        self.answered = self.header[ANSWERED_CELL] = self.answered + 1

    @never_raise
    def stop(self) -> None:
        """Write no more beats, because the loop is about to end."""
        if self._writer is not None:
            self._writer.close(time.monotonic_ns())
            self._writer = None
        if self._stacks is not None:
            self._stacks.stop()

    @never_raise
    def _beat(self) -> None:
        writer, loop = self._writer, self._loop
        if writer is None or loop is None:
            return
        now_ns = time.monotonic_ns()
        lag_ns = max(0, now_ns - self._due_ns)
        self._due_ns = now_ns + PERIOD_NS
        if self._stacks is not None:
            self._postpone(self._stacks, lag_ns)
        beat = Beat(
            now_ns,
            lag_ns,
            max(0, self.begun - self.answered),
            self.answered,
            self._gc_ns,
            *self._pool.tokens(),
            self._stack_bytes,
        )
        writer.write(beat)
        loop.call_later(PERIOD_S, self._beat)

    def _postpone(self, stacks: StackDumper, lag_ns: int) -> None:
        """Set the timer first: a stack that it brings from here on belongs to the next beat."""
        stacks.postpone()
        if lag_ns > _LATE_NS:
            self._stack_bytes = stacks.size_bytes

    def _on_collection(self, phase: str, _facts: Any) -> None:
        now_ns = time.monotonic_ns()
        if phase == "start":
            self._gc_since_ns = now_ns
        else:
            self._gc_ns += now_ns - self._gc_since_ns


HEARTBEAT = Heartbeat()
