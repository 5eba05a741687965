"""Whether a target answers at all: pure, so that it can be tested without waiting."""


class Silence:
    """How long nothing was answered. Errors count as answers where they come more often than
    requests that only run into their deadline could: at most one for each user and deadline.
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
