"""A child process by its pidfd: its pid may come to belong to another, the pidfd does not."""

import contextlib
import os
import signal
import sys


class ChildProcess:
    """A child that can be signalled, however late; `close` it in the end.

    asyncio reaps children behind our back, so that a pid is nobody's proof; `Process.send_signal`
    would in turn reap one behind the back of asyncio. A child that was reaped before this is
    made gets no signal any more, and nobody else in its place. Outside Linux nothing is sent.
    """

    def __init__(self, pid: int) -> None:
        self._descriptor = _pidfd_of(pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; do nothing once the child has ended."""
        if self._descriptor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def stands_still(self) -> bool:
        """Return whether a signal such as SIGSTOP holds it."""
        if self._descriptor is None:
            return False
        try:
            flags = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PIDFD, self._descriptor, flags) is not None
        except ChildProcessError:
            return False

    def close(self) -> None:
        """Close the pidfd."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _pidfd_of(pid: int) -> int | None:
    """Return its pidfd; None when it was reaped already, so that its pid may be another's."""
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
