"""The heartbeat of the event loop that serves the application, and stacks of its thread.

A timer of the kernel sends a signal at even intervals, whatever the loop does. The interpreter
calls the handler between two of its instructions, where frames can be read safely; a call in C that
it waits for counts by the intervals that passed, so that the share of the looks in a place is that
of the time. `faulthandler` would write the stack at once, from a C handler or a thread of its own:
it reads frames that are being made, and ends busy processes by SIGSEGV.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import gc
import opcode
import os
import signal
import threading
import time
from contextvars import Context
from types import FrameType
from typing import Any

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
    new_file,
)
from .thread_pool import PoolTokens

EVERY_S = 0.097013
"""No round number, so that no load keeps step with it."""
PATIENCE = 20
"""A loop that stands still is looked at ever more seldom, after a twentieth of the time so far.
Each signal leaves a byte where the loop listens for signals: once that is full, others are lost."""
MOST_STACK_BYTES = 2_000_000
"""A file of stacks that is longer begins anew: it may lie in memory."""
MOST_LOOKS = 600
"""One stack counts no more, however long the process was held."""
MOST_FRAMES = 100
SIGNAL = signal.SIGURG
"""By default it is ignored: it ends no process that has lost the handler, be it by `exec`, by a
reset of all handlers or because the interpreter ends."""


class KernelTimer:
    """A timer that sends `SIGNAL` to this thread once, as often as it is set.

    The kernel neither hands it on to a child nor to a program that takes the place of this one, and
    it is not the one of `alarm` and `setitimer`. Raises OSError where there is none to be had.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        # glibc before 2.34 has them in a library of its own.
        self._library = library if hasattr(library, "timer_create") else ctypes.CDLL("librt.so.1")
        event = _SignalEvent(0, SIGNAL, _TO_THREAD, threading.get_native_id())
        self._timer = ctypes.c_void_p()
        if self._library.timer_create(
            ctypes.c_int(time.CLOCK_MONOTONIC), ctypes.byref(event), ctypes.byref(self._timer)
        ):
            raise OSError("no timer")

    def set(self, after_s: float) -> None:
        """Send the signal so much later, and no other one before."""
        seconds, rest = divmod(after_s, 1)
        times = (ctypes.c_long * 4)(0, 0, int(seconds), int(rest * 1e9))
        self._library.timer_settime(self._timer, ctypes.c_int(0), times, None)

    def delete(self) -> None:
        """Give the timer back; it may be used no more."""
        self._library.timer_delete(self._timer)


_TO_THREAD = 4


class _SignalEvent(ctypes.Structure):
    """The `struct sigevent` of timer_create(2)."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("thread", ctypes.c_int),
        ("_padding", ctypes.c_char * 44),
    )


class StackDumper:
    """A timer whose signal writes the stack of the main thread to a file.

    The signal belongs to the application as soon as it uses it. Of the `written_bytes` the file
    lacks the first `cut_bytes`. The file is opened for each stack: an application may close all
    descriptors of its process, and then the number of one that is kept is that of another file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        os.close(new_file(path, os.O_WRONLY))
        self.written_bytes = self.cut_bytes = self._looks = 0
        self._since_s = self._beat_s = self._due_s = time.monotonic()
        self._timer: KernelTimer | None = KernelTimer()
        signal.signal(SIGNAL, self._write)
        signal.siginterrupt(SIGNAL, False)  # noqa: FBT003 - it takes no names
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.stop)
        self._set_timer(self._since_s)

    def _write(self, _signal: int, frame: FrameType | None) -> None:
        """Write the stack, with the intervals that passed since the last one.

        What a handler of the application raises meanwhile is raised, and nothing else.
        """
        try:
            now_s = time.monotonic()
            looks = int((now_s - self._since_s) / EVERY_S)
            passed, self._looks = min(looks - self._looks, MOST_LOOKS), looks
            self._set_timer(now_s)
            while frame is not None and frame.f_back is not None and _only_entered(frame):
                frame = frame.f_back
            if passed > 0:
                self._append(_written(frame, passed))
        except (OSError, MemoryError, RecursionError) as error:
            if _raised_elsewhere(error):
                raise

    def _append(self, text: bytes) -> None:
        descriptor = os.open(self._path, _FLAGS)
        try:
            self.written_bytes += os.write(descriptor, text)
        finally:
            os.close(descriptor)

    def _set_timer(self, now_s: float) -> None:
        """Set it anew once the signal was handled: C code that waits is interrupted only once."""
        if self._timer is not None:
            after_s = max(EVERY_S, (now_s - self._beat_s) / PATIENCE)
            self._due_s = now_s + after_s
            self._timer.set(after_s)

    def check(self) -> None:
        """Take down that the loop goes round, and begin a long file anew.

        Stops for an application that has taken the signal.
        """
        now_s = self._beat_s = time.monotonic()
        if not self._handles():
            self.stop()
        elif now_s > self._due_s + EVERY_S:
            self._set_timer(now_s)
        if self.written_bytes - self.cut_bytes > MOST_STACK_BYTES:
            os.truncate(self._path, 0)
            self.cut_bytes = self.written_bytes

    @never_raise
    def stop(self) -> None:
        """Stop the timer."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.delete()

    def _handles(self) -> bool:
        return signal.getsignal(SIGNAL) == self._write

    @never_raise
    def _forget(self) -> None:
        """Take the handler from a forked child, which has no timer of ours either."""
        self._timer = None
        if self._handles():
            signal.signal(SIGNAL, signal.SIG_DFL)


_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


_RESUME = opcode.opmap.get("RESUME", -1)
_AFTER_AWAIT = 3
_OWN_FOLDER = os.path.dirname(__file__)


def _only_entered(frame: FrameType) -> bool:
    """Whether nothing of its function has run yet, so that the time was spent by its caller.

    From Python 3.11 on signals that came before, during a `+` in C, are seen there. So it is with
    the probe itself, where a signal comes while the one before is handled.
    """
    code, at = frame.f_code.co_code, frame.f_lasti
    own = frame.f_code.co_filename.startswith(_OWN_FOLDER)
    return own or (code[at] == _RESUME and not code[at + 1] & _AFTER_AWAIT)


def _written(frame: FrameType | None, looks: int) -> bytes:
    """Return `looks` and the stack from `frame` outwards, as `faulthandler` writes it."""
    lines = [f"{looks} looks, most recent call first:"]
    while frame is not None and len(lines) <= MOST_FRAMES:
        code = frame.f_code
        lines.append(f'  File "{code.co_filename}", line {frame.f_lineno} in {code.co_name}')
        frame = frame.f_back
    text = "\n".join(line.replace("\n", "?") for line in lines)
    return text.encode("ascii", "backslashreplace") + b"\n"


def _raised_elsewhere(error: BaseException) -> bool:
    """Return whether code outside of the probe raised it, as a handler that ran meanwhile."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and not trace.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER)


@never_raise
def open_stack_dumper(path: str) -> StackDumper | None:
    """Write stacks to a file; None where the signal is in use, or off the main thread.

    Python calls handlers of signals in the main thread only.
    """
    here = threading.current_thread() is threading.main_thread()
    return StackDumper(path) if here and _is_default(SIGNAL) else None


def _is_default(number: int) -> bool:
    """Return whether nobody handles or ignores a signal, be it in C, which Python does not know."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        masks = [line.split()[1] for line in status if line.startswith(("SigIgn:", "SigCgt:"))]
    return not any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


PERIOD_S = PERIOD_NS / 1e9
SPARE_S = 3 * PERIOD_S
_FAULTS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a beat may raise of itself."""


class Heartbeat:
    """A periodic callback of the event loop that records its lag; one for each process.

    `begun` and `answered` count requests, `header` is the shared memory that shows them at once.
    `tried`: `start` was called. `armed`: stacks are written, or cannot be.
    """

    def __init__(self) -> None:
        self.begun = self.answered = 0
        self.header: ctypes.Array[ctypes.c_int64] = (ctypes.c_int64 * HEADER_CELLS)()
        self.tried = self.armed = False
        self._gc_ns = self._gc_since_ns = self._due_ns = 0
        self._writer: RingWriter | None = None
        self._stacks: StackDumper | None = None
        self._stacks_path = ""
        self._stack_bytes = self._turn = 0
        self._pool = PoolTokens()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._spare: asyncio.TimerHandle | None = None
        self._context = Context()

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
        os.register_at_fork(after_in_child=self._leave)
        self._due_ns = time.monotonic_ns()
        # That of the request would keep alive for ever what the request has put into it.
        self._context.run(self._beat, self._turn)

    @never_raise
    def _leave(self) -> None:
        """Write no more where the parent writes."""
        writer, self._writer, self._stacks = self._writer, None, None
        if writer is not None:
            writer.leave()

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

    def _beat(self, turn: int) -> None:
        """Write a beat and set the next one, unless a later one has been.

        What a handler of the application raises meanwhile is raised, and nothing else.
        """
        writer, loop = self._writer, self._loop
        if writer is None or loop is None or turn < self._turn:
            return
        try:
            self._write_beat(writer)
        except _FAULTS as error:
            if _raised_elsewhere(error):
                raise
        finally:
            self._go_on(loop, turn + 1)

    def _go_on(self, loop: asyncio.AbstractEventLoop, turn: int) -> None:
        """Set the next beat, and a spare of it for where that is lost.

        A handler may raise anywhere: before the next beat is set, or before that one is begun. At
        each moment a beat or a spare is set that `_turn` does not pass over.
        """
        loop.call_later(PERIOD_S, self._beat, turn, context=self._context)
        spare = loop.call_later(SPARE_S, self._beat, turn, context=self._context)
        before, self._spare = self._spare, spare
        self._turn = turn
        if before is not None:
            before.cancel()

    def _write_beat(self, writer: RingWriter) -> None:
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

    def _look(self, stacks: StackDumper) -> None:
        """See how much was written, which is of the time before this beat."""
        self._stack_bytes = stacks.written_bytes
        try:
            stacks.check()
        except OSError as error:
            if _raised_elsewhere(error):
                raise
        self.header[CUT_CELL] = stacks.cut_bytes

    def _on_collection(self, phase: str, _facts: Any) -> None:
        now_ns = time.monotonic_ns()
        if phase == "start":
            self._gc_since_ns = now_ns
        else:
            self._gc_ns += now_ns - self._gc_since_ns


HEARTBEAT = Heartbeat()
