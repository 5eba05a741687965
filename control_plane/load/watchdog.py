"""Ends a load worker whatever it is doing: when its parent dies, its input closes, or its alarm
rings.
"""

import ctypes
import os
import select
import signal
import sys
import threading

_SET_PARENT_DEATH_SIGNAL = 1
_STDIN = 0


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies, and exit where it is dead already.

    Linux alone kills; elsewhere the pipe must do.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    end_of_input = select.poll()
    end_of_input.register(_STDIN, 0)
    if any(events & select.POLLHUP for _, events in end_of_input.poll(0)):
        os._exit(0)


def reset_priority() -> None:
    """Take the normal priority, where the system lets us."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    except PermissionError:
        return


def exit_on_stdin_eof() -> None:
    """Let the end of standard input end this process at once."""
    threading.Thread(target=_wait_for_end, name="watchdog", daemon=True).start()


def set_alarm(seconds: float) -> None:
    """Let the kernel end this process after `seconds`, unless this is called again; 0 calls it off.

    It needs nothing of Python, so it also works when Python hangs.
    """
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _wait_for_end() -> None:
    while os.read(_STDIN, 4_096):
        continue
    os._exit(0)
