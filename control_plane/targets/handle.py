"""A hold on one child process: its pid may come to belong to another, the hold does not."""

import contextlib
import os
import signal


class Handle:
    """Through which a child is killed, however late; to be closed in the end.

    asyncio reaps children behind our back, so that a pid is nobody's proof. A child that was reaped
    before the handle is made cannot be killed any more, and nobody else in its place.
    """

    def __init__(self, pid: int) -> None:
        self._descriptor = _of_child(pid)

    def kill(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _of_child(pid: int) -> int | None:
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
