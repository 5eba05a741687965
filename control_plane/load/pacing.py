"""When the requests of a load are meant to start. Pure: no clock, nothing sent.

One function for each load model. Times are nanoseconds of one clock.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pacing:
    """`entry(user)` stands for the end of a request before the user's first, users from 0.

    `due(number, previous_ns)` is the intended start of the request with that number (from 0, in
    the order in which users ask), for a user whose last request ended at `previous_ns`.
    """

    entry: Callable[[int], int]
    due: Callable[[int, int], int]


def closed(begin_ns: int, users: int, ramp_up_ns: int = 0, think_ns: int = 0) -> Pacing:
    """The next request when the last one ended and was thought about.

    Users join evenly over the ramp-up, the first at its begin.
    """
    return Pacing(
        entry=lambda user: begin_ns + user * ramp_up_ns // users - think_ns,
        due=lambda _number, previous_ns: previous_ns + think_ns,
    )


def burst(begin_ns: int) -> Pacing:
    """Every request at once."""
    return Pacing(entry=lambda _user: begin_ns, due=lambda _number, _previous_ns: begin_ns)
