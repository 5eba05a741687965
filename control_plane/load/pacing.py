"""When the requests of a load are meant to start. Pure: no clock, nothing sent.

One function for each load model in which users decide; the arrivals of an open load are in
`arrivals`. Times are nanoseconds of one clock.
"""

from collections.abc import Callable
from dataclasses import dataclass

from control_plane.domain.load_models import LoadModel


@dataclass(frozen=True)
class Pacing:
    """The intended starts of users, each of whom decides by itself.

    `opens_ns` is the first intended start of all.

    `first(user)` is the intended start of a user's first request, users from 0.
    `after(due_ns, end_ns)` is that of the next request of a user whose last one was meant to start
    at `due_ns` and ended at `end_ns`.
    """

    opens_ns: int
    first: Callable[[int], int]
    after: Callable[[int, int], int]


def closed(begin_ns: int, users: int, ramp_up_ns: int = 0, think_ns: int = 0) -> Pacing:
    """Return the pacing where users send when the last response came and was thought about.

    Users join evenly over the ramp-up, the first at its begin.
    """
    return Pacing(
        begin_ns,
        first=lambda user: begin_ns + user * ramp_up_ns // users,
        after=lambda _due_ns, end_ns: end_ns + think_ns,
    )


def burst(begin_ns: int) -> Pacing:
    """Return the pacing where every request is due at once."""
    return Pacing(begin_ns, first=lambda _user: begin_ns, after=lambda _due_ns, _end_ns: begin_ns)


def periodic(begin_ns: int, users: int, interval_ns: int) -> Pacing:
    """Return the pacing of one interval after the last intended start, or at once where the
    response came later.

    As Gatling's `pace`: a late request moves all that follow it, none is made up for. Users begin
    evenly over the first interval, so that together they send at an even rate.
    """
    return Pacing(
        begin_ns,
        first=lambda user: begin_ns + user * interval_ns // users,
        after=lambda due_ns, end_ns: max(due_ns + interval_ns, end_ns),
    )


def pacing_of(load: LoadModel, begin_ns: int, ramp_up_ns: int) -> Pacing:
    """Return the pacing of a load model in which users decide, from `begin_ns` on."""
    if load.all_at_once:
        return burst(begin_ns)
    if load.user_interval_s is not None:
        return periodic(begin_ns, load.users, round(load.user_interval_s * 1e9))
    return closed(begin_ns, load.users, ramp_up_ns, round(load.think_time_s * 1e9))
