"""The bounds of load models and what strategies can do. Pure: a stream in, wrong fields out."""

from control_plane.domain.bounds import Wrong, bounded, counted
from control_plane.domain.errors import FieldError
from control_plane.domain.limits import Limits
from control_plane.domain.loads import Burst, Closed, Open, Periodic, RateStep
from control_plane.domain.spec import Client, StopDuration, Stream
from control_plane.domain.strategies import STRATEGIES

LEAST_RATE_PER_S = 0.1
MOST_STEPS = 100


def wrong_load(field: str, stream: Stream, client: Client, limits: Limits) -> Wrong:
    """`field` is the path of `load`."""
    load = stream.load
    match load:
        case Closed():
            yield from _closed(field, load, limits)
            yield from _users(f"{field}.concurrency", load.concurrency, client, limits)
        case Periodic():
            yield from bounded(f"{field}.interval_s", load.interval_s, 0.001, 3_600)
            yield from _users(f"{field}.concurrency", load.concurrency, client, limits)
        case Open():
            yield from _rate(f"{field}.rate_per_s", load, limits)
            yield from _at_once(field, "max_in_flight", load.max_in_flight, client, limits)
        case Burst():
            yield from _at_once(field, "connections", load.connections, client, limits)
            if isinstance(stream.stop, StopDuration):
                yield FieldError(
                    field.removesuffix("load") + "stop",
                    "A burst stops by requests: give stop.requests.",
                    at_field="A burst stops after a number of requests: choose that.",
                )


def _closed(field: str, load: Closed, limits: Limits) -> Wrong:
    for name in ("think_time_s", "ramp_up_s"):
        value = getattr(load, name)
        yield from bounded(f"{field}.{name}", value, 0, limits.max_duration_s, "max_duration_s")


def _users(field: str, users: int, client: Client, limits: Limits) -> Wrong:
    if STRATEGIES[client.strategy].alone and users > 1:
        message = f"{client.strategy} sends one request at a time: use 1, or choose threaded."
        yield FieldError(field, message, 1)
    else:
        yield from _most(field, users, client, limits)


def _at_once(field: str, name: str, value: int, client: Client, limits: Limits) -> Wrong:
    yield from _most(f"{field}.{name}", value, client, limits)
    if STRATEGIES[client.strategy].alone:
        message = (
            f"{client.strategy} sends one request at a time: use the closed or the periodic model."
        )
        yield FieldError(f"{field}.model", message)


def _most(field: str, value: int, client: Client, limits: Limits) -> Wrong:
    limit = "max_threads" if STRATEGIES[client.strategy].threads else "max_concurrency"
    yield from bounded(field, value, 1, getattr(limits, limit), limit)


def _rate(field: str, load: Open, limits: Limits) -> Wrong:
    if not isinstance(load.rate_per_s, tuple):
        yield from _rate_per_s(field, load.rate_per_s, limits)
        return
    yield from counted(field, len(load.rate_per_s), 1, MOST_STEPS, "steps")
    for index, step in enumerate(load.rate_per_s):
        yield from _step(f"{field}.{index}", step, limits)


def _step(field: str, step: RateStep, limits: Limits) -> Wrong:
    yield from _rate_per_s(f"{field}.rate_per_s", step.rate_per_s, limits)
    longest_s = limits.max_duration_s
    yield from bounded(f"{field}.duration_s", step.duration_s, 0.1, longest_s, "max_duration_s")


def _rate_per_s(field: str, rate: float, limits: Limits) -> Wrong:
    yield from bounded(field, rate, LEAST_RATE_PER_S, limits.max_rate_per_s, "max_rate_per_s")
