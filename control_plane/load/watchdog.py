"""What ends a load worker whatever it is doing: its parent's end, a closed pipe, its own alarm."""

import ctypes
import os
import signal
import sys
import threading

_SET_PARENT_DEATH_SIGNAL = 1
_STDIN = 0


def die_with_parent() -> None:
    """The kernel kills this process when its parent dies (Linux; elsewhere the pipe must do)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def reset_priority() -> None:
    """Take the normal priority, where the system lets us."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    except PermissionError:
        return


def exit_on_stdin_eof() -> None:
    """From now on the end of standard input ends this process at once."""
    threading.Thread(target=_wait_for_end, name="lifeline", daemon=True).start()


def set_alarm(seconds: float) -> None:
    """The kernel ends this process unless this is called again before; 0 calls it off.

    It needs nothing of Python, so it also works when Python hangs.
    """
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _wait_for_end() -> None:
    while os.read(_STDIN, 4_096):
        continue
    os._exit(0)
