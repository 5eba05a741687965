"""The heartbeat of the event loop that serves the application, and stacks of its thread.

A timer of the kernel sends SIGALRM at even intervals, whatever the loop does. The interpreter calls
the handler between two of its instructions, where frames can be read safely; a call in C that it
waits for counts by the intervals that passed, so that the share of the looks in a place is that of
the time. `faulthandler` would write the stack at once, from a C handler or a thread of its own: it
reads frames that are being made, and ends busy processes by SIGSEGV.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import opcode
import os
import signal
import threading
import time
from array import array
from types import FrameType
from typing import Any, MutableSequence

from . import never_raise
from .ring import (
    ANSWERED_CELL,
    BEATS_SUFFIX,
    CUT_CELL,
    FOLDER_VARIABLE,
    HEADER_CELLS,
    PERIOD_NS,
    STACKS_SUFFIX,
    Beat,
    RingWriter,
)
from .thread_pool import PoolTokens

EVERY_S = 0.097013
"""No round number, so that no load keeps step with it, and no other timer is taken for ours."""
MOST_STACK_BYTES = 2_000_000
"""A file of stacks that is longer begins anew: it may lie in memory."""
_TOLERANCE_S = 2e-6


MOST_LOOKS = 600
"""One stack counts no more, however long the process was held."""
MOST_FRAMES = 100


class StackDumper:
    """A timer whose signal writes the stack of the main thread to a file.

    Signal and timer belong to the application as soon as it uses one of them. Of the
    `written_bytes` the file lacks the first `cut_bytes`.
    """

    def __init__(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        self._descriptor = os.open(path, flags, 0o600)
        signal.signal(signal.SIGALRM, self._write)
        signal.siginterrupt(signal.SIGALRM, False)  # noqa: FBT003 - it takes no names
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.stop)
        self._ours = True
        self.written_bytes = self.cut_bytes = 0
        self._since_s, self._looks = time.monotonic(), 0
        signal.setitimer(signal.ITIMER_REAL, EVERY_S, EVERY_S)

    @never_raise
    def _write(self, _signal: int, frame: FrameType | None) -> None:
        """Write the stack, with the intervals that passed since the last one."""
        looks = int((time.monotonic() - self._since_s) / EVERY_S)
        passed, self._looks = min(looks - self._looks, MOST_LOOKS), looks
        if frame is not None and frame.f_back is not None and _only_entered(frame):
            frame = frame.f_back
        if passed > 0:
            os.write(self._descriptor, _written(frame, passed))

    def check(self) -> None:
        """See how much was written, and begin a long file anew.

        Stops for an application that has taken the signal.
        """
        if self._ours and not self._handles():
            self.stop()
        size = os.fstat(self._descriptor).st_size
        self.written_bytes = self.cut_bytes + size
        if size > MOST_STACK_BYTES:
            os.ftruncate(self._descriptor, 0)
            self.cut_bytes += size

    @never_raise
    def stop(self) -> None:
        """Stop the timer; also before the interpreter ends, when the signal would kill it."""
        if self._ours and _is_ours(signal.getitimer(signal.ITIMER_REAL)):
            signal.setitimer(signal.ITIMER_REAL, 0)
        self._ours = False

    def _handles(self) -> bool:
        return signal.getsignal(signal.SIGALRM) == self._write

    @never_raise
    def _forget(self) -> None:
        """Take the handler from a forked child, which has no timer of ours either."""
        if self._handles():
            signal.signal(signal.SIGALRM, signal.SIG_DFL)


_RESUME = opcode.opmap.get("RESUME", -1)
_AFTER_AWAIT = 3


def _only_entered(frame: FrameType) -> bool:
    """Whether nothing of its function has run yet, so that the time was spent by its caller.

    From Python 3.11 on signals that came before, during a `+` in C, are seen there.
    """
    code, at = frame.f_code.co_code, frame.f_lasti
    return code[at] == _RESUME and not code[at + 1] & _AFTER_AWAIT


def _written(frame: FrameType | None, looks: int) -> bytes:
    """Return `looks` and the stack from `frame` outwards, as `faulthandler` writes it."""
    lines = [f"{looks} looks, most recent call first:"]
    while frame is not None and len(lines) <= MOST_FRAMES:
        code = frame.f_code
        lines.append(f'  File "{code.co_filename}", line {frame.f_lineno} in {code.co_name}')
        frame = frame.f_back
    text = "\n".join(line.replace("\n", "?") for line in lines)
    return text.encode("ascii", "backslashreplace") + b"\n"


@never_raise
def open_stack_dumper(path: str) -> StackDumper | None:
    """Write stacks to a file; None where signal or timer are in use, or off the main thread.

    Python calls handlers of signals in the main thread only.
    """
    idle = signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    here = threading.current_thread() is threading.main_thread()
    unhandled = signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    return StackDumper(path) if idle and here and unhandled else None


def _is_ours(timer: tuple[float, float]) -> bool:
    return abs(timer[1] - EVERY_S) < _TOLERANCE_S


PERIOD_S = PERIOD_NS / 1e9


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
            self._look(self._stacks)
        beat = Beat(
            now_ns,
            lag_ns,
            max(0, self.begun - self.answered),
            self.answered,
            self._gc_ns,
            *self._pool.tokens(),
            self._stack_bytes,
            time.thread_time_ns(),
        )
        writer.write(beat)
        loop.call_later(PERIOD_S, self._beat)

    def _look(self, stacks: StackDumper) -> None:
        """See how much was written, which is of the time before this beat."""
        stacks.check()
        self._stack_bytes = stacks.written_bytes
        self.header[CUT_CELL] = stacks.cut_bytes

    def _on_collection(self, phase: str, _facts: Any) -> None:
        now_ns = time.monotonic_ns()
        if phase == "start":
            self._gc_since_ns = now_ns
        else:
            self._gc_ns += now_ns - self._gc_since_ns


HEARTBEAT = Heartbeat()
