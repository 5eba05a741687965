"""A hold on one child process: its pid may come to belong to another, the hold does not."""

import contextlib
import os
import signal
import sys


class ChildProcess:
    """Through which a child is signalled, however late; to be closed in the end.

    asyncio reaps children behind our back, so that a pid is nobody's proof; `Process.send_signal`
    would in turn reap one behind the back of asyncio. A child that was reaped before the handle is
    made gets no signal any more, and nobody else in its place. Outside Linux nothing is sent.
    """

    def __init__(self, pid: int) -> None:
        self._descriptor = _of_child(pid)

    def send(self, number: signal.Signals) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _of_child(pid: int) -> int | None:
    """None when the process was reaped already, so that whoever has its pid now is a stranger."""
    if sys.platform != "linux":
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        os.close(descriptor)
        return None
    return descriptor
