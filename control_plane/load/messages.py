"""The messages of a load worker on its standard output: one JSON object in each line."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from control_plane.domain import histogram
from control_plane.domain.histogram import EMPTY, Histogram
from control_plane.domain.stream_record import FailedResponse, Second, StreamRecord


@dataclass(frozen=True)
class WorkerReady:
    """Imports are done and bodies are made; the worker is connected to nothing yet."""


@dataclass(frozen=True)
class WindowOpened:
    """The warm-up is over: the window is open since `at_ns` of the monotonic clock."""

    at_ns: int


@dataclass(frozen=True)
class WindowClosed:
    """The window is over; responses of an open load may be awaited until `WorkerResult`."""


@dataclass(frozen=True)
class Draining:
    """After the window `requests` of an open load are still awaited."""

    requests: int


@dataclass(frozen=True)
class Rejected:
    """This machine cannot do what the plan wants; `reason` says why and what to do."""

    reason: str


@dataclass(frozen=True)
class WorkerResult:
    """The record of the stream. On the pipe it carries no seconds: they went before."""

    record: StreamRecord


Message = WorkerReady | WindowOpened | WindowClosed | Draining | Rejected | Second | WorkerResult

_PLAIN: dict[str, type[WorkerReady | WindowOpened | WindowClosed | Draining | Rejected]] = {
    "ready": WorkerReady,
    "window_opened": WindowOpened,
    "window_closed": WindowClosed,
    "draining": Draining,
    "rejected": Rejected,
}
"""Messages whose JSON is that of their fields."""


def encode(message: Message) -> str:
    """Return one line, with its end."""
    return json.dumps(_document(message), separators=(",", ":")) + "\n"


def decode(line: bytes | str, seconds: Sequence[Second] = ()) -> Message:
    """Return the message that `encode` wrote.

    `seconds` are those received before; they complete the record of a `WorkerResult`. Raises
    ValueError for anything else.
    """
    try:
        ((kind, content),) = json.loads(line).items()
        if kind == "second":
            return _second(content)
        return _result(content, seconds) if kind == "result" else _PLAIN[kind](**content)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"This is not a message: {line[:80]!r}") from error


def _document(message: Message) -> dict[str, Any]:
    if isinstance(message, Second):
        return {"second": _second_document(message)}
    if isinstance(message, WorkerResult):
        record = asdict(replace(message.record, seconds=(), warmup=(), send_lag=None))
        return {"result": {**record, "send_lag": _packed(message.record.send_lag)}}
    return {kind: asdict(message) for kind, plain in _PLAIN.items() if isinstance(message, plain)}


def _second_document(second: Second) -> dict[str, Any]:
    """Times that are the same object as the service time, as in the closed model, are sent once."""
    return {
        "index": second.index,
        "errors": second.errors,
        "service": _packed(second.service),
        "response": _packed_beside(second.service, second.response),
        "first_byte": _packed_beside(second.service, second.first_byte),
        "unanswered": second.unanswered,
        "received": second.received,
        "timeouts": second.timeouts,
    }


def _second(content: dict[str, Any]) -> Second:
    service = _unpacked(content["service"])
    response, first_byte = (
        service if content[clock] == _SAME else _unpacked(content[clock])
        for clock in ("response", "first_byte")
    )
    counts = content["unanswered"], content["received"], content["timeouts"]
    return Second(content["index"], content["errors"], service, response, *counts, first_byte)


def _result(content: dict[str, Any], seconds: Sequence[Second]) -> WorkerResult:
    lag = content["send_lag"]
    unpacked = {
        "seconds": tuple(second for second in seconds if second.index >= 0),
        "warmup": tuple(second for second in seconds if second.index < 0),
        "failures": tuple(FailedResponse(**failed) for failed in content["failures"]),
        "in_flight_ns": tuple(content["in_flight_ns"]),
        "in_flight_begun": tuple(content["in_flight_begun"]),
        "send_lag": _unpacked(lag) if lag else None,
    }
    return WorkerResult(StreamRecord(**{**content, **unpacked}))


_SAME = "service"


def _packed_beside(service: Histogram, times: Histogram | None) -> dict[str, Any] | str | None:
    return _SAME if times is service else _packed(times)


def _packed(times: Histogram | None) -> dict[str, Any] | None:
    """The HDR encoding keeps three digits, so the exact extremes and the sum stand beside it."""
    if times is None or not times.total:
        return None
    return {
        "hdr": times.encode().decode("ascii"),
        "min": times.minimum_ns,
        "max": times.maximum_ns,
        "sum": times.sum_ns,
    }


def _unpacked(packed: dict[str, Any] | None) -> Histogram:
    if packed is None:
        return EMPTY
    times = histogram.decode(packed["hdr"].encode("ascii"))
    return Histogram(times.indices, times.counts, packed["min"], packed["max"], packed["sum"])
