"""What goes through the pipes of a load worker: its plan in, its messages out, as lines."""

import json
import pickle
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from typing import Any

from control_plane.domain import histogram
from control_plane.domain.histogram import EMPTY, Histogram
from control_plane.domain.request import Scalar
from control_plane.domain.spec import Client, Stream
from control_plane.domain.stream_record import FailedResponse, Second, StreamRecord


@dataclass(frozen=True)
class Shard:
    """One of `of` equal parts of users, requests and arrivals alike.

    Those are numbered from 0; the part has the numbers `first`, `first + of` and so on.
    """

    first: int = 0
    of: int = 1

    def part(self, total: int) -> int:
        """Return how many of `total` there are; the parts of all processes add up to it."""
        return len(range(self.first, total, self.of))

    def number(self, index: int) -> int:
        """Return the number in the whole of this process's own `index`, from 0."""
        return self.first + index * self.of


WHOLE = Shard()


def shards(processes: int) -> tuple[Shard, ...]:
    """Return the part of each of some processes."""
    return tuple(Shard(first, processes) for first in range(processes))


SetCookie = tuple[str, str]
"""The path of a request, and a `Set-Cookie` of its answer."""


@dataclass(frozen=True)
class Captured:
    """What requests before the load found: values by the name of their placeholder.

    `shared` are those of all users. `users` and `cookies` have an entry for each user of a process,
    or none where there is nothing of a single user.
    """

    shared: dict[str, Scalar] = field(default_factory=dict, repr=False)
    users: tuple[dict[str, Scalar], ...] = field(default=(), repr=False)
    cookies: tuple[tuple[SetCookie, ...], ...] = field(default=(), repr=False)


NOTHING = Captured()


@dataclass(frozen=True)
class Seeds:
    """What the values of requests are drawn from.

    `trial` is the same for all runs of a spec, and another in each trial; `unique` is that of one
    stream in one trial of one run, and of no other; `repeat` is the same everywhere. `block` is the
    trial among all of the run.
    """

    trial: int
    unique: int
    repeat: int
    block: Shard = WHOLE

    @classmethod
    def of(cls, seed: int) -> "Seeds":
        """Return seeds that draw the same whenever `seed` is the same."""
        return cls(seed, seed, seed)


def trial_seed(seed: int, block: int, stream: int) -> int:
    """Return what the arrivals of a stream are drawn from, in every run of a spec with `seed`."""
    return seed + 1_000 * block + stream


def seeds_of(seed: int, run_id: str, block: Shard, stream: int) -> Seeds:
    """Return the seeds of a stream, counted from 0, in a trial of a run."""
    return Seeds(
        trial_seed(seed, block.first, stream),
        _digest(f"{seed} {run_id} {block.first} {stream}"),
        _digest(f"{seed} {stream}"),
        block,
    )


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


@dataclass(frozen=True, kw_only=True)
class LoadTraits:
    """What recording has to know of a load.

    `users`: how many there are at most; they are numbered from 0.
    `is_scheduled`: intended starts are known before, so that response and service time differ. Else
    times run from the actual start, and the intended one only tells how long who thinks is away.
    `keeps_time`: the client sends by the clock, so that its lateness is kept.
    `is_open`: a sample belongs to the window by its intended start and not by its end.
    `think_ns`: for so long a user sends nothing after a response.
    """

    users: int
    is_scheduled: bool = False
    keeps_time: bool = False
    is_open: bool = False
    think_ns: int = 0

    @property
    def is_planned(self) -> bool:
        """Whether the intended start of a request may be another moment than the actual one."""
        return self.is_scheduled or self.think_ns > 0


@dataclass(frozen=True)
class LoadPlan:
    """What one load worker does: its `share` of one stream of one trial.

    `base_url` is scheme, host and port; `host` is the Host that is sent, empty for that of the URL.
    The warm-up follows the ramp-up of the stream, which is given as the whole one. `seed` draws
    arrivals; `seeds` None: it draws the values, too.
    """

    stream: Stream
    client: Client
    base_url: str
    warmup_s: float
    timeout_s: float
    seed: int
    share: Shard = WHOLE
    seeds: Seeds | None = None
    host: str = ""
    captured: Captured = NOTHING

    @property
    def users(self) -> int:
        """How many requests of this process can be in flight at once."""
        return self.share.part(self.stream.load.users)

    @property
    def requests(self) -> int | None:
        """How many this process sends; None where the stream stops by duration."""
        stop = self.stream.stop
        return self.share.part(stop.requests) if stop.requests is not None else None

    @property
    def traits(self) -> LoadTraits:
        """What the samples of this process are recorded by."""
        load = self.stream.load
        return LoadTraits(
            users=self.users,
            is_scheduled=load.is_scheduled,
            keeps_time=load.keeps_time,
            is_open=load.is_open,
            think_ns=round(load.think_time_s * 1e9),
        )

    @property
    def duration_s(self) -> float | None:
        """The length of the window; None where the stream stops by requests."""
        return self.stream.stop.duration_s

    @property
    def early_s(self) -> float:
        """How long the load of the window runs before it opens; 0 where that is another load."""
        if self.duration_s is None:
            return 0.0
        return self.stream.load.ramp_up_s + self.warmup_s

    @property
    def lead_s(self) -> float:
        """The longest time from the common start to the window's."""
        ramp_up_s = self.stream.load.ramp_up_s
        return self.stream.start_after_s + ramp_up_s + self.warmup_s + self.timeout_s

    @property
    def patience_s(self) -> float:
        """The time after which a worker of which no request ended is stuck."""
        pause_s = self.stream.load.longest_pause_s
        return 2 * self.timeout_s + pause_s + (self.duration_s or 0) + 10

    def line(self) -> bytes:
        """Return the plan as one line, with its end, for a worker that this process started."""
        # To check it as JSON once more would be a third of a worker's start.
        return b64encode(pickle.dumps(self)) + b"\n"

    @staticmethod
    def read(line: bytes) -> "LoadPlan":
        """Return the plan that `line` wrote. It is trusted: it comes from who started us."""
        plan: LoadPlan = pickle.loads(b64decode(line))
        return plan


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
class OpenEnds:
    """The media types of responses that told no end when they began, as in a record."""

    media_types: dict[str, str]


@dataclass(frozen=True)
class Rejected:
    """This machine cannot do what the plan wants; `reason` says why and what to do."""

    reason: str


@dataclass(frozen=True)
class WorkerResult:
    """The record of the stream. On the pipe it carries no seconds: they went before."""

    record: StreamRecord


Plain = WorkerReady | WindowOpened | WindowClosed | Draining | OpenEnds | Rejected
Message = Plain | Second | WorkerResult

_PLAIN: dict[str, type[Plain]] = {
    "ready": WorkerReady,
    "window_opened": WindowOpened,
    "window_closed": WindowClosed,
    "draining": Draining,
    "open_ends": OpenEnds,
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
        "starts": [second.intended, second.sent],
    }


def _second(content: dict[str, Any]) -> Second:
    service = _unpacked(content["service"])
    response, first_byte = (
        service if content[clock] == _SAME else _unpacked(content[clock])
        for clock in ("response", "first_byte")
    )
    counts = content["unanswered"], content["received"], content["timeouts"]
    clocks = service, response, *counts, first_byte
    return Second(content["index"], content["errors"], *clocks, *content["starts"])


def _result(content: dict[str, Any], seconds: Sequence[Second]) -> WorkerResult:
    lag = content["send_lag"]
    unpacked = {
        "seconds": tuple(second for second in seconds if second.index >= 0),
        "warmup": tuple(second for second in seconds if second.index < 0),
        "failures": tuple(FailedResponse(**failed) for failed in content["failures"]),
        "in_flight_ns": tuple(content["in_flight_ns"]),
        "in_flight_begun": tuple(content["in_flight_begun"]),
        "in_flight_answered": tuple(content["in_flight_answered"]),
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
