"""When a target counts as one that does not answer any more."""

from control_plane.domain.spec import Stream


class IdleTimeout:
    """How long nothing was answered in one stream.

    Errors count as responses where they come more often than requests that only run into their
    deadline could: at most one for each user and deadline.
    """

    def __init__(self, users: int, timeout_s: float) -> None:
        self._users, self._timeout_s = users, timeout_s
        self._completed = self._errors = -1
        self._since_s = 0.0
        self.lasts_s = 0.0

    def look(self, completed: int, errors: int, now_s: float) -> None:
        """Take down the counts so far."""
        overdue = self._users * ((now_s - self._since_s) / self._timeout_s + 1)
        if completed != self._completed or errors - self._errors > overdue:
            self._completed, self._errors, self._since_s = completed, errors, now_s
        self.lasts_s = now_s - self._since_s


def longest_silence_s(stream: Stream, timeout_s: float) -> float:
    """Return the seconds without a response that a target may take: two deadlines and a second
    beyond the longest time in which the stream may rightly be still.
    """
    load = stream.load
    still_s = stream.start_after_s + load.ramp_up_s + load.longest_pause_s
    return 2 * timeout_s + 1 + still_s
