"""What load workers hand back: raw counts and histograms, before anything is judged."""

from __future__ import annotations

import re
import struct
from collections import ChainMap, Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from control_plane.domain.histogram import Counts, Histogram, Integers


ERROR_CLASSES = (
    "timeout", "reset", "truncated", "protocol", "refused", "disconnected",
    "no_local_port", "no_files", "body_too_large", "redirect", "status", "content",
)  # fmt: skip

REDIRECTS = frozenset({301, 302, 303, 307, 308})
"""Statuses that lead elsewhere (RFC 9110, 15.4)."""

UNANSWERED_CLASSES = frozenset(ERROR_CLASSES[:8])
"""Classes of requests that ended without an answer; the others had one, if not the right one."""


@dataclass(frozen=True)
class Second:
    """The requests of one stream that ended in second `index` (from 0) of the window.

    The last second before the window is -1. The histograms hold completed requests only.
    `unanswered` of the `errors` are requests without an answer, `timeouts` those that were waited
    for until their deadline; `received` are the bytes of bodies. `first_byte` holds the times until
    answers began, those that were errors or had no end included; None where nobody looked. Of an
    open load `intended` requests were meant to start in it, and `sent` ones went out; else None.
    """

    index: int
    errors: int
    service: Histogram
    response: Histogram
    unanswered: int = 0
    received: int = 0
    timeouts: int = 0
    first_byte: Histogram | None = None
    intended: int | None = None
    sent: int | None = None

    @property
    def completed(self) -> int:
        """How many requests completed in it."""
        return self.service.total


@dataclass(frozen=True, kw_only=True)
class FailedResponse:
    """The first request of a stream that failed in one way: its error class, and its status.

    `status` and `head` are None and empty where no response came. `detail` says then what went
    wrong, and for a body of another content what was expected and what was there. `location` is
    where a redirect leads. `body` is its beginning, of `body_bytes` in all as far as they were
    read. No secret stands in any of them once they are kept with a trial.
    """

    error: str
    request: str
    stream: str = ""
    status: int | None = None
    location: str | None = None
    head: str = ""
    body: str = ""
    body_bytes: int = 0
    detail: str = ""

    def with_texts(self, whole: Callable[[str], str], cut: Callable[[str], str]) -> FailedResponse:
        """Return it with its texts changed: by `cut` those that may end anywhere."""
        return replace(
            self,
            request=cut(self.request),
            location=whole(self.location) if self.location else self.location,
            head=cut(self.head),
            body=cut(self.body),
            detail=cut(self.detail),
        )

    @property
    def kind(self) -> tuple[str, str, int | None]:
        """What it is the first of."""
        return self.stream, self.error, self.status

    def leads_to(self, *origins: str) -> str:
        """Return the path to which a redirect leads on the same host, without its query.

        Empty where it leads to none of these `origins`, such as `http://127.0.0.1:8000`.
        """
        path = re.split("[?#]", self.location or "", maxsplit=1)[0]
        for origin in origins:
            path = path.removeprefix(origin) if path.startswith(f"{origin}/") else path
        # A second slash begins a host, and browsers take a backslash for one.
        return path if re.match(r"/(?![/\\])", path) else ""

    @property
    def line(self) -> str:
        """Return `GET /items: 307, redirect to /items/`."""
        parts = [] if self.status is None else [str(self.status)]
        if self.location:
            parts.append(f"redirect to {self.location}")
        elif self.error == "content":
            parts.append(self.detail or "another body than expected")
        elif self.error != "status":
            parts.append(self.error.replace("_", " "))
        return f"{self.request}: {', '.join(parts)}"


def first_failures(found: Iterable[FailedResponse]) -> tuple[FailedResponse, ...]:
    """Return the first of each kind, in order."""
    kinds: dict[tuple[str, str, int | None], FailedResponse] = {}
    for failed in found:
        kinds.setdefault(failed.kind, failed)
    return tuple(kinds.values())


@dataclass(frozen=True, kw_only=True)
class WindowTotals:
    """The counts of one stream over one window, as the recorder of a load worker saw it.

    `opened_ns` is the window's start on the monotonic clock. `in_flight_ns` holds the ages, from
    the intended start, of the requests in flight when the window ended. `in_system_ns` is the sum
    over all requests of the time between actual start and end that fell inside the window, those
    in flight included; `away_ns` the sum of the times inside it in which users thought, or had
    thought enough and had not sent yet. `awaited_ns`: how long after the window responses
    were awaited, which the ages hold. Of an open load, `answered` counts what completed inside the
    window, whenever it was meant to start (None: all that completed), and `late` what was meant to
    start there and completed after. `early_errors` are those of the `early` requests that ended
    before the window; nothing else counts these. `in_flight_begun` says beside each age whether
    its answer had begun; so had those of `begun_timeouts` of the requests that timed out.
    `in_flight_answered` says whether it came right after the window, in a time like the others.
    """

    opened_ns: int
    duration_ns: int
    errors: Mapping[str, int]
    statuses: Mapping[str, int]
    in_flight_ns: tuple[int, ...]
    sent: int
    send_lag: Histogram | None
    bytes_sent: int
    bytes_received: int
    in_system_ns: int
    away_ns: int = 0
    awaited_ns: int = 0
    answered: int | None = None
    late: int = 0
    early: int = 0
    early_errors: Mapping[str, int] = field(default_factory=dict)
    in_flight_begun: tuple[bool, ...] = ()
    begun_timeouts: int = 0
    in_flight_answered: tuple[bool, ...] = ()

    @property
    def closed_ns(self) -> int:
        """The end of the window on the monotonic clock."""
        return self.opened_ns + self.duration_ns

    @property
    def ended(self) -> int:
        """How many requests had an outcome in the window."""
        return self.sent - len(self.in_flight_ns)


@dataclass(frozen=True, kw_only=True)
class WorkerUsage:
    """What a load worker used inside a window.

    `new_connections` counts those opened from the window's start on, `connections` the most that
    were open or being made at once, `sent_again` the requests that went out a second time because
    their kept connection was closed, `read_enough` those whose connection the client closed because
    it had read enough of the response. `cpu_s` is processor time, `spin_s` the part of it spent
    waiting actively.
    """

    new_connections: int
    connections: int
    sent_again: int
    cpu_s: float
    spin_s: float
    peak_memory_bytes: int
    read_enough: int = 0


@dataclass(frozen=True, kw_only=True)
class StreamRecord(WindowTotals, WorkerUsage):
    """One stream over one window: its totals, its seconds, and what its load worker used.

    `intended` counts the requests that were meant to start in the window. `warmup` holds the
    seconds before the window, in which the same load ran for `warmup_s`; nothing else counts them.
    `numbers`: below it lie all that its sequences took, warm-up included.
    `failures` are the first of each kind, those of the warm-up included. `open_ends` are the media
    types of responses that told no end when they began, by the place of their request class.
    """

    name: str
    intended: int
    seconds: tuple[Second, ...] = ()
    warmup: tuple[Second, ...] = ()
    warmup_s: float = 0.0
    numbers: int = 0
    failures: tuple[FailedResponse, ...] = ()
    open_ends: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Slices:
    """The response times of each second, sparse; whole numbers of any width.

    `seconds` had responses, in as many buckets as `sizes` says: both of shape (n,), those before
    the window negative. `counts` of them took as long as bucket `indices` of the histogram says:
    both of shape (m,), those of the first second before those of the next.
    """

    seconds: Integers
    sizes: Integers
    indices: Integers
    counts: Integers

    @property
    def begins(self) -> Counts:
        """Where the buckets of each second begin, and where the last ones end: shape (n + 1,)."""
        import numpy as np

        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.sizes, dtype=np.int64)])

    @staticmethod
    def of(seconds: Sequence[Second]) -> Slices:
        """Make the slices of some seconds."""
        parts = [(part.index, part.response.indices, part.response.counts) for part in seconds]
        return Slices.joined(parts)

    @staticmethod
    def joined(parts: Sequence[tuple[int, Integers, Integers]]) -> Slices:
        """Join parts: each is a second, its buckets, and the requests in each of them."""
        import numpy as np

        none = np.zeros(0, np.uint8)
        return Slices(
            np.array([index for index, _, _ in parts], np.int64),
            np.array([len(indices) for _, indices, _ in parts], np.int64),
            np.concatenate([none, *(indices for _, indices, _ in parts)]),
            np.concatenate([none, *(counts for _, _, counts in parts)]),
        )

    def to_bytes(self) -> bytes:
        """Return the columns for storage, in narrow numbers of which few differ.

        Of the buckets it is how far each lies from the one before it, modulo 2^16.
        """
        import numpy as np

        indices = self.indices.astype(np.int64)
        steps = np.ediff1d(indices, to_begin=indices[:1])
        width = np.min_scalar_type(self.counts.max(initial=0)).itemsize
        columns: tuple[Integers, ...] = (self.seconds, self.sizes, steps, self.counts)
        kinds = _column_kinds(width)
        packed = (part.astype(kind).tobytes() for part, kind in zip(columns, kinds, strict=True))
        return _HEAD.pack(len(self.seconds), len(steps), width) + b"".join(packed)

    @staticmethod
    def from_bytes(raw: bytes) -> Slices:
        """Return what `to_bytes` wrote. Raises ValueError or struct.error for anything else.

        The numbers stay narrow: memory for wider ones takes longer than unpacking them.
        """
        import numpy as np

        seconds, buckets, width = _HEAD.unpack_from(raw)
        columns, at = [], _HEAD.size
        lengths = (seconds, seconds, buckets, buckets)
        for kind, length in zip(_column_kinds(width), lengths, strict=True):
            columns.append(np.frombuffer(raw, kind, length, at))
            at += columns[-1].nbytes
        second, sizes, steps, counts = columns
        if at != len(raw) or sizes.sum() != buckets:
            raise ValueError(f"{len(raw)} bytes of {buckets} buckets in {seconds} seconds")
        return Slices(second, sizes, np.cumsum(steps, dtype=np.uint16), counts)


_HEAD = struct.Struct("<IIB")


def _column_kinds(width: int) -> tuple[str, ...]:
    """Return the types of the columns of stored slices; counts have so many bytes."""
    return "<i4", "<u4", "<u2", f"<u{width}"


def merge_records(parts: Sequence[StreamRecord]) -> StreamRecord:
    """Return the record of one stream from those of its processes, at least one.

    The window reaches from the first begin to the last end, which differ by some milliseconds where
    it stops by requests; seconds are added by their index. Counts, connections and processor time
    are summed, the memory is that of the largest process.
    """
    columns = {
        field.name: [getattr(part, field.name) for part in parts] for field in fields(StreamRecord)
    }
    merged = {name: _MERGE_RULES.get(name, sum)(values) for name, values in columns.items()}
    duration_ns = max(part.closed_ns for part in parts) - merged["opened_ns"]
    return StreamRecord(**merged | {"duration_ns": duration_ns})


def _sum_if_known(parts: Sequence[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def merge_seconds(seconds: Iterable[Second]) -> tuple[Second, ...]:
    """Return the seconds of several processes, one for each index, ascending."""
    by_index: dict[int, list[Second]] = {}
    for second in seconds:
        by_index.setdefault(second.index, []).append(second)
    return tuple(_merged_second(index, by_index[index]) for index in sorted(by_index))


def _merged_second(index: int, seconds: Sequence[Second]) -> Second:
    """Return one second; times that are the same object, as in the closed model, stay so."""
    from control_plane.domain import histogram

    if len(seconds) == 1:
        return seconds[0]
    service = histogram.merge([second.service for second in seconds])
    same = all(second.response is second.service for second in seconds)
    response = service if same else histogram.merge([second.response for second in seconds])
    same = all(second.first_byte is second.service for second in seconds)
    first_byte = service if same else merged_if_known([second.first_byte for second in seconds])
    counts: dict[str, Any] = {
        name: sum(getattr(second, name) for second in seconds)
        for name in ("errors", "unanswered", "received", "timeouts")
    }
    counts |= {
        name: _sum_if_known([getattr(second, name) for second in seconds])
        for name in ("intended", "sent")
    }
    return Second(index=index, service=service, response=response, first_byte=first_byte, **counts)


def merged_if_known(parts: Sequence[Histogram | None]) -> Histogram | None:
    """Return all parts as one; None where one is not known."""
    from control_plane.domain import histogram

    known = [part for part in parts if part is not None]
    return histogram.merge(known) if len(known) == len(parts) else None


def _lag_of_workers(lags: Sequence[Histogram | None]) -> Histogram | None:
    return merged_if_known([lag for lag in lags if lag is not None] or [None])


def _merge_parts(parts: Iterable[Sequence[Second]]) -> tuple[Second, ...]:
    return merge_seconds(chain.from_iterable(parts))


def sum_counts(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the counts of all parts by name, in the order of the alphabet."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(sorted(total.items()))


_MERGE_RULES: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "name": itemgetter(0),
    "opened_ns": min,
    "errors": sum_counts,
    "early_errors": sum_counts,
    "statuses": sum_counts,
    "in_flight_ns": lambda ages: tuple(chain.from_iterable(ages)),
    "in_flight_begun": lambda parts: tuple(chain.from_iterable(parts)),
    "in_flight_answered": lambda parts: tuple(chain.from_iterable(parts)),
    "send_lag": _lag_of_workers,
    "awaited_ns": max,
    "answered": _sum_if_known,
    "peak_memory_bytes": max,
    "seconds": _merge_parts,
    "warmup": _merge_parts,
    "warmup_s": max,
    "numbers": max,
    "failures": lambda parts: tuple(chain.from_iterable(parts)),
    "open_ends": lambda parts: dict(ChainMap(*map(dict, parts))),
}
"""How the values of the processes become one, by field; those that are not named are summed."""
