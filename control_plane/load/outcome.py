"""How a request ended.

Its outcome is one number, status * 16 + error, with status 0 where none came and error 0 where the
request completed, otherwise the place of its class in ERROR_CLASSES, from 1.
"""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from control_plane.domain.result import ERROR_CLASSES

ERROR_MASK = 15
_PLACES = {name: place for place, name in enumerate(ERROR_CLASSES, start=1)}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


Ended = tuple[int, int, int]
"""The outcome, and the bytes of the bodies that were sent and received.

Requests that end alike share one, as far as they are remembered: thousands wait to be counted.
"""


@lru_cache(maxsize=1_000)
def answered(status: int, expected: frozenset[int] | None, sent: int, received: int) -> Ended:
    """The whole body came; None expects 200 to 299."""
    if (200 <= status <= 299) if expected is None else status in expected:
        return status << 4, sent, received
    return failed("redirect" if status in _REDIRECTS else "status", sent, received, status)


@lru_cache(maxsize=1_000)
def failed(error: str, sent: int, received: int = 0, status: int = 0) -> Ended:
    """`error` is one of ERROR_CLASSES."""
    return status << 4 | _PLACES[error], sent, received


def error_of(outcome: int) -> str | None:
    """None when completed."""
    place = outcome & ERROR_MASK
    return ERROR_CLASSES[place - 1] if place else None


def counts(outcomes: Iterable[tuple[int, int]]) -> tuple[dict[str, int], dict[str, int]]:
    """From pairs of outcome and count: errors by class, answers by status."""
    errors: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    for outcome, count in outcomes:
        error, status = error_of(outcome), outcome >> 4
        if error:
            errors[error] += count
        if status:
            statuses[str(status)] += count
    return dict(errors), dict(statuses)
