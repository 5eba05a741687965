"""Load models in a few words, for titles and tables."""

from control_plane.domain.loads import AnyLoad, Burst, Open, Periodic, RateStep, concurrency_of


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
