"""`python -m control_plane.load [CORES]`: one load worker.

Reads a plan and then the common start, one line each, from standard input, and writes messages to
standard output. CORES are numbers with commas between. It ends with its input.
"""

import ctypes
import gc
import os
import select
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies, and exit where it is dead already.

    Linux alone kills; elsewhere the pipe must do.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    end_of_input = select.poll()
    end_of_input.register(sys.stdin.fileno(), 0)
    if any(events & select.POLLHUP for _, events in end_of_input.poll(0)):
        os._exit(0)


if __name__ == "__main__":
    gc.disable()
    # aiohttp reads the certificates of the machine twice when it is imported; here none counts.
    os.environ["SSL_CERT_FILE"] = os.devnull
    # The imports of a worker last long enough for its parent to die meanwhile.
    die_with_parent()
    from control_plane.load import worker

    sys.excepthook = worker.exit_with_traceback
    worker.main(sys.argv[1:])
    os._exit(0)
