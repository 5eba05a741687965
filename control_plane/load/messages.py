"""What a load worker tells on its standard output: one JSON object in a line for each event."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from control_plane.domain.histogram import EMPTY, Histogram, decode
from control_plane.domain.stream_record import Second, StreamRecord


@dataclass(frozen=True)
class Ready:
    """Imports done, bodies made; connected to nothing yet."""


@dataclass(frozen=True)
class Opened:
    """The warm-up is over: the window is open since `at_ns` of the monotonic clock."""

    at_ns: int


@dataclass(frozen=True)
class Over:
    """The window is over; answers of an open load may still be awaited until Done."""


@dataclass(frozen=True)
class Waiting:
    """After the window: so many `requests` of an open load are still awaited."""

    requests: int


@dataclass(frozen=True)
class Refused:
    """This machine cannot do what the plan asks for; `reason` says why and what to do."""

    reason: str


@dataclass(frozen=True)
class Done:
    """The window is closed. On the way its record carries no seconds: they went before."""

    record: StreamRecord


Event = Ready | Opened | Over | Waiting | Refused | Second | Done


def write(event: Event) -> str:
    """One line, with its end."""
    return json.dumps(_document(event), separators=(",", ":")) + "\n"


def read(line: bytes | str, seconds: Sequence[Second] = ()) -> Event:
    """What `write` wrote; `seconds` are those read before, which complete the record of Done.

    Raises ValueError for anything else.
    """
    try:
        ((kind, content),) = json.loads(line).items()
        return _done(content, seconds) if kind == "done" else _READERS[kind](content)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"This is not an event: {line[:80]!r}") from error


def _document(event: Event) -> dict[str, Any]:
    if isinstance(event, Second):
        return {"second": _second(event)}
    if isinstance(event, Done):
        record = asdict(replace(event.record, seconds=(), warmup=(), send_lag=None))
        return {"done": {**record, "send_lag": _packed(event.record.send_lag)}}
    return {type(event).__name__.lower(): asdict(event)}


def _second(second: Second) -> dict[str, Any]:
    """Where both times are the same object, as in the closed model, one is sent for both."""
    same = second.response is second.service
    return {
        "index": second.index,
        "errors": second.errors,
        "service": _packed(second.service),
        "response": "service" if same else _packed(second.response),
    }


def _packed(histogram: Histogram | None) -> dict[str, Any] | None:
    """The HDR encoding keeps three digits, so the exact extremes and the sum stand beside it."""
    if histogram is None or not histogram.total:
        return None
    return {
        "hdr": histogram.encode().decode("ascii"),
        "min": histogram.minimum_ns,
        "max": histogram.maximum_ns,
        "sum": histogram.sum_ns,
    }


def _unpacked(packed: dict[str, Any] | None) -> Histogram:
    if packed is None:
        return EMPTY
    found = decode(packed["hdr"].encode("ascii"))
    return Histogram(found.indices, found.counts, packed["min"], packed["max"], packed["sum"])


def _read_second(content: dict[str, Any]) -> Second:
    service = _unpacked(content["service"])
    response = content["response"]
    both = service if response == "service" else _unpacked(response)
    return Second(content["index"], content["errors"], service, both)


def _done(content: dict[str, Any], seconds: Sequence[Second]) -> Done:
    lag = content["send_lag"]
    facts = {
        "seconds": tuple(one for one in seconds if one.index >= 0),
        "warmup": tuple(one for one in seconds if one.index < 0),
        "in_flight_ns": tuple(content["in_flight_ns"]),
        "send_lag": _unpacked(lag) if lag else None,
    }
    return Done(StreamRecord(**{**content, **facts}))


_READERS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "ready": lambda content: Ready(**content),
    "opened": lambda content: Opened(**content),
    "over": lambda content: Over(**content),
    "waiting": lambda content: Waiting(**content),
    "refused": lambda content: Refused(**content),
    "second": _read_second,
}
