"""Which requests have been in flight for too long, and when to look again. Pure."""

from collections.abc import Mapping

_PATIENCE_NS = 5_000_000
"""How long a request that was told to end may take to do so."""


def overdue(starts: Mapping[int, int], timeout_ns: int, now_ns: int) -> tuple[list[int], int]:
    """Users whose request started `timeout_ns` ago or more, and the next moment to look.

    `starts` holds the actual start of each request in flight. A request that starts later is due
    later, so nothing can be overdue before that moment: requests need no timers of their own.
    """
    late = [user for user, start_ns in starts.items() if start_ns + timeout_ns <= now_ns]
    if late:
        return late, now_ns + _PATIENCE_NS
    return [], min(starts.values(), default=now_ns) + timeout_ns
