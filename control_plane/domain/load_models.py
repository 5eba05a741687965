"""The load models of the spec: what starts the next request of a stream.

A new model is a class here, its pacing in `load/schedule.py` and its fields in the form; everything
else asks what `LoadModel` answers.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.errors import FieldError
from control_plane.domain.limits import (
    Checked,
    Limits,
    Wrong,
    bounded,
    counted,
    kind_told_by,
    kind_told_by_shape,
)
from control_plane.domain.units import number_of, seconds

LEAST_RATE_PER_S = 0.1
MAX_STEPS = 100


class LoadModel(Checked):
    """What the product asks of every load model. The defaults hold for a model without pauses."""

    starts_by: ClassVar[Literal["schedule", "response", "interval"]] = "schedule"
    """What sets the intended start of a request: a schedule that no response moves, the response
    before it, or an interval of its user."""
    is_open: ClassVar[bool] = False
    """Requests arrive at a rate, whatever the responses do, and belong to the window by their
    intended start."""
    all_at_once: ClassVar[bool] = False
    """All requests are meant to start at once, and wait for a connection."""

    @property
    def users(self) -> int:
        """The most requests that can be in flight at once."""
        raise NotImplementedError

    @property
    def steps(self) -> tuple["RateStep", ...]:
        """The steps of the rate at which requests arrive; none where users decide."""
        return ()

    @property
    def arrivals(self) -> str | None:
        """How arrivals are spread, `constant` or `poisson`; None where users decide."""
        return None

    @property
    def busy_users(self) -> int | None:
        """The users who always have a request in flight; None where their number varies."""
        return None

    @property
    def waiting_users(self) -> int:
        """The users who send nothing more while nothing is answered."""
        return self.users

    @property
    def is_scheduled(self) -> bool:
        """Whether intended starts are known before; else they are the actual ones."""
        return self.starts_by != "response"

    @property
    def keeps_time(self) -> bool:
        """Whether requests go out by the clock, and not because another one ended."""
        return self.is_scheduled and not self.all_at_once

    @property
    def shows_queueing(self) -> bool:
        """Whether response times hold the waiting of requests that no response holds back."""
        return self.starts_by == "schedule"

    @property
    def obeys_littles_law(self) -> bool:
        """Whether each user is in the system at all times, except while it thinks."""
        return self.starts_by == "response"

    @property
    def keeps_connections(self) -> bool:
        """Whether a connection that is kept may be there for the next request: none in a burst."""
        return not self.all_at_once

    @property
    def ramp_up_s(self) -> float:
        """The seconds until all users are there."""
        return 0.0

    @property
    def think_time_s(self) -> float:
        """How long a user waits after a response."""
        return 0.0

    @property
    def user_interval_s(self) -> float | None:
        """The seconds between the intended starts of one user; None where no interval sets them."""
        return None

    @property
    def longest_pause_s(self) -> float:
        """The seconds in which the load may rightly start nothing, after its ramp-up."""
        return 0.0

    def wrong(self, field: str, strategy: str, limits: Limits) -> Wrong:
        """Find what is wrong with the load; `field` is its path in the spec."""
        raise NotImplementedError

    @property
    def idle_s(self) -> float:
        """The seconds from one request on a connection to the next, where the load sets them."""
        return 0.0

    def least_s(self, requests: int) -> float:
        """Return the seconds that the model itself makes a number of requests take."""
        del requests
        return 0.0

    @property
    def size_label(self) -> str:
        """How much load it is: `64` users or connections, `1,000/s`."""
        return f"{self.users:,}"

    @property
    def label(self) -> str:
        """The load in short: `64 users`, `burst over 9`, `open 1,000/s Poisson`."""
        return number_of(self.users, "user")

    @property
    def long_label(self) -> str:
        """The label, with what it leaves out."""
        return self.label

    def phrase(self, offered: str) -> str:
        """Return the load as the end of a sentence about a rate: `with 64 users`.

        `offered` is the rate at which an open load wanted to send.
        """
        del offered
        return f"with {self.users:,} users" if self.users > 1 else "with one user"


def _users(field: str, users: int, strategy: str, limits: Limits) -> Wrong:
    """Find too many users who send one request at a time."""
    if STRATEGIES[strategy].alone and users > 1:
        message = f"{strategy} sends one request at a time: use 1, or choose threaded."
        yield FieldError(field, message, 1)
    else:
        yield from _in_flight(field, users, strategy, limits)


def _together(field: str, name: str, value: int, strategy: str, limits: Limits) -> Wrong:
    """Find too many requests at once, which a strategy with one user cannot send at all."""
    yield from _in_flight(f"{field}.{name}", value, strategy, limits)
    if STRATEGIES[strategy].alone:
        message = f"{strategy} sends one request at a time: use the closed or the periodic model."
        yield FieldError(f"{field}.model", message)


def _in_flight(field: str, value: int, strategy: str, limits: Limits) -> Wrong:
    limit = "max_threads" if STRATEGIES[strategy].threads else "max_concurrency"
    yield from bounded(field, value, 1, getattr(limits, limit), limit)


def _rate_per_s(field: str, rate: float, limits: Limits) -> Wrong:
    yield from bounded(field, rate, LEAST_RATE_PER_S, limits.max_rate_per_s, "max_rate_per_s")


@dataclass(frozen=True)
class Closed(LoadModel):
    """A fixed number of users; each sends the next request when the last one ended."""

    starts_by = "response"

    model: Literal["closed"] = "closed"
    concurrency: int = 1
    think_time_s: float = 0
    ramp_up_s: float = 0

    @property
    def users(self) -> int:
        return self.concurrency

    @property
    def busy_users(self) -> int | None:
        return None if self.think_time_s else self.concurrency

    @property
    def longest_pause_s(self) -> float:
        return self.think_time_s

    @property
    def idle_s(self) -> float:
        return self.think_time_s

    def least_s(self, requests: int) -> float:
        return requests * self.think_time_s / self.concurrency

    def wrong(self, field: str, strategy: str, limits: Limits) -> Wrong:
        longest_s = limits.max_duration_s
        for name, value in (("think_time_s", self.think_time_s), ("ramp_up_s", self.ramp_up_s)):
            yield from bounded(f"{field}.{name}", value, 0, longest_s, "max_duration_s")
        yield from _users(f"{field}.concurrency", self.concurrency, strategy, limits)

    @property
    def long_label(self) -> str:
        think = f", think time {seconds(self.think_time_s)}" if self.think_time_s else ""
        return f"{self.label}{think}"


@dataclass(frozen=True)
class Burst(LoadModel):
    """All requests are meant to start at once, over at most `connections` connections."""

    all_at_once = True

    model: Literal["burst"]
    connections: int

    @property
    def users(self) -> int:
        return self.connections

    def wrong(self, field: str, strategy: str, limits: Limits) -> Wrong:
        yield from _together(field, "connections", self.connections, strategy, limits)

    @property
    def label(self) -> str:
        return f"burst over {self.connections:,}"

    @property
    def long_label(self) -> str:
        return f"{self.label} connections"

    def phrase(self, offered: str) -> str:
        del offered
        return f"in a burst over {number_of(self.users, 'connection')}"


@dataclass(frozen=True)
class RateStep(Checked):
    """A rate that holds for `duration_s`."""

    rate_per_s: float
    duration_s: float

    @property
    def label(self) -> str:
        """The rate without its unit: `1,000`."""
        return f"{self.rate_per_s:,.10g}"

    def wrong(self, field: str, limits: Limits) -> Wrong:
        """Find what is wrong with the step; `field` is its path in the spec."""
        yield from _rate_per_s(f"{field}.rate_per_s", self.rate_per_s, limits)
        longest_s = limits.max_duration_s
        yield from bounded(f"{field}.duration_s", self.duration_s, 0.1, longest_s, "max_duration_s")


def _rate_kind(value: Any) -> str:
    return "steps" if isinstance(value, list | tuple) else "constant"


Rate = Annotated[
    float | tuple[RateStep, ...],
    kind_told_by_shape({"constant": float, "steps": tuple[RateStep, ...]}, _rate_kind),
]


@dataclass(frozen=True)
class Open(LoadModel):
    """Requests are meant to start on a schedule, whatever the responses do.

    Steps begin with the window and follow each other; after the last one its rate holds. What is
    due while `max_in_flight` requests are in flight waits and keeps its intended start.
    """

    is_open = True

    model: Literal["open"]
    rate_per_s: Rate
    arrivals: Literal["constant", "poisson"] = "constant"
    max_in_flight: int = 1_000

    @property
    def steps(self) -> tuple[RateStep, ...]:
        """The steps of the rate, at least one; a single rate is one, of any duration."""
        if isinstance(self.rate_per_s, tuple):
            return self.rate_per_s
        return (RateStep(self.rate_per_s, 1.0),)

    @property
    def users(self) -> int:
        return self.max_in_flight

    @property
    def waiting_users(self) -> int:
        return 0

    @property
    def longest_pause_s(self) -> float:
        """The longest gap: over 20 of its means between Poisson arrivals once in 10^9 times."""
        return 20 / min(step.rate_per_s for step in self.steps)

    def wrong(self, field: str, strategy: str, limits: Limits) -> Wrong:
        if isinstance(self.rate_per_s, tuple):
            yield from counted(f"{field}.rate_per_s", len(self.steps), 1, MAX_STEPS, "steps")
            for index, step in enumerate(self.steps):
                yield from step.wrong(f"{field}.rate_per_s.{index}", limits)
        else:
            yield from _rate_per_s(f"{field}.rate_per_s", self.rate_per_s, limits)
        yield from _together(field, "max_in_flight", self.max_in_flight, strategy, limits)

    @property
    def idle_s(self) -> float:
        """The gap between arrivals, of which one connection can take all while none waits."""
        return 1 / min(step.rate_per_s for step in self.steps)

    def least_s(self, requests: int) -> float:
        spent_s, left = 0.0, float(requests)
        for step in self.steps[:-1]:
            if left <= step.rate_per_s * step.duration_s:
                return spent_s + left / step.rate_per_s
            spent_s += step.duration_s
            left -= step.rate_per_s * step.duration_s
        return spent_s + left / self.steps[-1].rate_per_s

    @property
    def size_label(self) -> str:
        first, last = self.steps[0].label, self.steps[-1].label
        count = len(self.steps)
        return f"{first}/s" if count == 1 else f"{first} to {last}/s in {count} steps"

    @property
    def label(self) -> str:
        return f"open {self.size_label}{' Poisson' if self.arrivals == 'poisson' else ''}"

    @property
    def long_label(self) -> str:
        return f"{self.label}, at most {self.max_in_flight:,} in flight"

    def phrase(self, offered: str) -> str:
        return f"of {offered} offered"


@dataclass(frozen=True)
class Periodic(LoadModel):
    """Each user sends, awaits the response, and sends again `interval_s` after its last start.

    Where the response came later than that, it sends at once; nothing is made up for.
    """

    starts_by = "interval"

    model: Literal["periodic"]
    interval_s: float
    concurrency: int = 1

    @property
    def users(self) -> int:
        return self.concurrency

    @property
    def user_interval_s(self) -> float:
        return self.interval_s

    @property
    def longest_pause_s(self) -> float:
        return self.interval_s

    @property
    def idle_s(self) -> float:
        return self.interval_s

    def least_s(self, requests: int) -> float:
        return max(0, requests - self.concurrency) * self.interval_s / self.concurrency

    def wrong(self, field: str, strategy: str, limits: Limits) -> Wrong:
        yield from bounded(f"{field}.interval_s", self.interval_s, 0.001, 3_600)
        yield from _users(f"{field}.concurrency", self.concurrency, strategy, limits)

    @property
    def label(self) -> str:
        return f"{super().label} every {self.interval_s:g} s"

    def phrase(self, offered: str) -> str:
        each = f"every {self.interval_s:g} s"
        return super().phrase(offered) + (f", each {each}" if self.users > 1 else f" {each}")


AnyLoad = Closed | Burst | Open | Periodic
Load = Annotated[AnyLoad, kind_told_by("model", AnyLoad)]
