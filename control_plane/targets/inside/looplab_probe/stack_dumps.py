"""Stacks of the event loop's thread while a heartbeat is overdue, written by a signal handler.

A timer of the kernel, set again by every beat, sends SIGALRM once a beat is late. The C handler of
`faulthandler.register` writes the stack without needing the interpreter's lock, so a loop that
holds it, or waits for it, is seen as well. `faulthandler.dump_traceback_later` would watch from a
thread of its own and walk the frames of running threads: that ends busy processes by SIGSEGV.
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import signal
import threading

from . import never_raise

FIRST_S = 0.1
EVERY_S = 0.200017
"""No round number, so that no other timer is taken for ours."""
_TOLERANCE_S = 2e-6


class StackDumper:
    """A timer whose signal writes the stack of the main thread to a file.

    Signal and timer belong to the application as soon as it uses one of them.
    """

    def __init__(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        self._descriptor = os.open(path, flags, 0o600)
        faulthandler.register(signal.SIGALRM, self._descriptor, all_threads=False, chain=False)
        os.register_at_fork(after_in_child=_unregister)
        atexit.register(self.stop)
        self._ours = True
        signal.setitimer(signal.ITIMER_REAL, FIRST_S, EVERY_S)

    @property
    def size_bytes(self) -> int:
        """The size of the file."""
        return os.fstat(self._descriptor).st_size

    def postpone(self) -> None:
        """Set the timer anew, because the loop is alive."""
        if not self._ours:
            return
        if not _default_handled():
            self.stop()
            return
        before = signal.setitimer(signal.ITIMER_REAL, FIRST_S, EVERY_S)
        if not _is_ours(before):
            signal.setitimer(signal.ITIMER_REAL, *before)
            self._ours = False

    @never_raise
    def stop(self) -> None:
        """Stop the timer; also before the interpreter ends, when the signal would kill it."""
        if self._ours and _is_ours(signal.getitimer(signal.ITIMER_REAL)):
            signal.setitimer(signal.ITIMER_REAL, 0)
        self._ours = False


@never_raise
def open_stack_dumper(path: str) -> StackDumper | None:
    """Write stacks to a file; None where signal or timer are in use, or off the main thread.

    SIGALRM goes to the main thread, and the stack written is that of the thread that it interrupts.
    """
    idle = signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    here = threading.current_thread() is threading.main_thread()
    return StackDumper(path) if idle and here and _default_handled() else None


def _default_handled() -> bool:
    """Whether Python knows of no handler; it does not know that of faulthandler."""
    return signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def _is_ours(timer: tuple[float, float]) -> bool:
    return abs(timer[1] - EVERY_S) < _TOLERANCE_S


@never_raise
def _unregister() -> None:
    """Take the handler from a forked child, which has no timer of ours either."""
    if _default_handled():
        faulthandler.unregister(signal.SIGALRM)
