"""How a request ended.

Its outcome is one number, status * 16 + error, with status 0 where none came and error 0 where the
request completed, otherwise the place of its class in ERROR_CLASSES, from 1.
"""

import errno
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from control_plane.domain.result import ERROR_CLASSES, UNANSWERED_CLASSES

_BY_ERRNO = {
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ECONNABORTED: "reset",
    errno.ECONNREFUSED: "refused",
    errno.ENOENT: "refused",
    errno.EADDRNOTAVAIL: "no_local_port",
    errno.EMFILE: "no_files",
    errno.ENFILE: "no_files",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "refused",
    errno.ENETUNREACH: "refused",
}

ErrorTypes = Sequence[tuple[type[BaseException], str]]
"""Exception types of a library with their classes, the more telling ones first."""


def classify(error: BaseException, types: ErrorTypes) -> str:
    """Return one of ERROR_CLASSES: by the system's error number first, then by type.

    It is `protocol` where neither says anything.
    """
    errors = list(error_chain(error))
    for part in errors:
        if isinstance(part, OSError) and part.errno in _BY_ERRNO:
            return _BY_ERRNO[part.errno]
    for kind, name in types:
        if any(isinstance(part, kind) for part in errors):
            return name
    return "protocol"


def error_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that it was made from: arguments, causes, contexts; each once."""
    waiting, seen = [error], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        inner = [*part.args, getattr(part, "reason", None), part.__cause__, part.__context__]
        waiting += [cause for cause in inner if isinstance(cause, BaseException)]


ERROR_MASK = 15
_PLACES = {name: place for place, name in enumerate(ERROR_CLASSES, start=1)}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


Outcome = tuple[int, int, int]
"""The outcome, and the bytes of the bodies that were sent and received.

Requests that end alike share one, as far as they are remembered: thousands wait to be counted.
"""


@lru_cache(maxsize=1_000)
def response_outcome(
    status: int, expected: frozenset[int] | None, sent: int, received: int
) -> Outcome:
    """Return how a request ended whose whole body came; `expected` None stands for 200 to 299."""
    if (200 <= status <= 299) if expected is None else status in expected:
        return status << 4, sent, received
    return failure("redirect" if status in _REDIRECTS else "status", sent, received, status)


@lru_cache(maxsize=1_000)
def failure(error: str, sent: int, received: int = 0, status: int = 0) -> Outcome:
    """Return how a request ended that failed; `error` is one of ERROR_CLASSES."""
    return status << 4 | _PLACES[error], sent, received


def error_class(outcome: int) -> str | None:
    """Return the error class of an outcome; None when completed."""
    place = outcome & ERROR_MASK
    return ERROR_CLASSES[place - 1] if place else None


def unanswered_among(kinds: Mapping[Outcome, int]) -> int:
    """Return how many ended without an answer, of outcomes with their numbers."""
    return sum(count for kind, count in kinds.items() if error_class(kind[0]) in UNANSWERED_CLASSES)


def bytes_received_of(kinds: Mapping[Outcome, int]) -> int:
    """Return the bytes of all bodies that were received, of outcomes with their numbers."""
    return sum(count * size for (_, _, size), count in kinds.items())


def count_by_class(outcomes: Iterable[tuple[int, int]]) -> tuple[dict[str, int], dict[str, int]]:
    """Return errors by class and responses by status, from pairs of outcome and count."""
    errors: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    for outcome, count in outcomes:
        error, status = error_class(outcome), outcome >> 4
        if error:
            errors[error] += count
        if status:
            statuses[str(status)] += count
    return dict(errors), dict(statuses)
