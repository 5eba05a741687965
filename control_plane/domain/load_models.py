"""The load models of the spec: what starts the next request of a stream."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Tag
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=STRICT)
class Closed:
    """A fixed number of users; each sends the next request when the last one ended."""

    model: Literal["closed"] = "closed"
    concurrency: int = 1
    think_time_s: float = 0
    ramp_up_s: float = 0


@dataclass(frozen=True, config=STRICT)
class Burst:
    """All requests are meant to start at once, over at most `connections` connections."""

    model: Literal["burst"]
    connections: int


@dataclass(frozen=True, config=STRICT)
class RateStep:
    rate_per_s: float
    duration_s: float


def _rate_kind(value: Any) -> str:
    return "steps" if isinstance(value, list | tuple) else "constant"


Rate = Annotated[
    Annotated[float, Tag("constant")] | Annotated[tuple[RateStep, ...], Tag("steps")],
    Discriminator(_rate_kind),
]


@dataclass(frozen=True, config=STRICT)
class Open:
    """Requests are meant to start on a schedule, whatever the answers do.

    Steps begin with the window and follow each other; after the last one its rate holds. What is
    due while `max_in_flight` requests are in flight waits and keeps its intended start.
    """

    model: Literal["open"]
    rate_per_s: Rate
    arrivals: Literal["constant", "poisson"] = "constant"
    max_in_flight: int = 1_000

    @property
    def steps(self) -> tuple[RateStep, ...]:
        """At least one; a single rate is one step, whose duration does not matter."""
        if isinstance(self.rate_per_s, tuple):
            return self.rate_per_s
        return (RateStep(self.rate_per_s, 1.0),)


@dataclass(frozen=True, config=STRICT)
class Periodic:
    """Each user sends, awaits the answer, and sends again `interval_s` after its last start.

    Where the answer came later than that, it sends at once; nothing is made up for.
    """

    model: Literal["periodic"]
    interval_s: float
    concurrency: int = 1


AnyLoad = Closed | Burst | Open | Periodic
Load = Annotated[AnyLoad, Discriminator("model")]


def concurrency_of(load: AnyLoad) -> int:
    """The most requests that can be in flight at once."""
    match load:
        case Burst():
            return load.connections
        case Open():
            return load.max_in_flight
    return load.concurrency


def ramp_up_of(load: AnyLoad) -> float:
    """Seconds until all users are there."""
    return load.ramp_up_s if isinstance(load, Closed) else 0.0


def longest_pause_of(load: AnyLoad) -> float:
    """Seconds in which such a load may rightly start nothing, after its ramp-up.

    A gap between Poisson arrivals lasts over 20 of its means once in 10^9 times.
    """
    match load:
        case Closed():
            return load.think_time_s
        case Periodic():
            return load.interval_s
        case Open():
            return 20 / min(step.rate_per_s for step in load.steps)
    return 0.0


def crowd_words(load: AnyLoad) -> str:
    """`64 users`; `burst over 9`; `open 1,000/s Poisson`; `2 users every 0.1 s`."""
    match load:
        case Burst():
            return f"burst over {load.connections:,}"
        case Open():
            return f"open {_rates(load.steps)}{' Poisson' if load.arrivals == 'poisson' else ''}"
        case Periodic():
            return f"{users_words(load.concurrency)} every {load.interval_s:g} s"
    return users_words(load.concurrency)


def size_words(load: AnyLoad) -> str:
    """How much load: `64` users or connections, `1,000/s`."""
    return _rates(load.steps) if isinstance(load, Open) else f"{concurrency_of(load):,}"


def users_words(users: int) -> str:
    return "1 user" if users == 1 else f"{users:,} users"


def _rates(steps: tuple[RateStep, ...]) -> str:
    first, last = _rate(steps[0]), _rate(steps[-1])
    return f"{first}/s" if len(steps) == 1 else f"{first} to {last}/s in {len(steps)} steps"


def _rate(step: RateStep) -> str:
    return f"{step.rate_per_s:,.10g}"
