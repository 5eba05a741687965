"""What another load generator measured, as far as its file tells it: None means not told."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, pairwise
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple, get_args

from control_plane.domain.ids import tool_result_address
from control_plane.domain.limits import MAX_PERCENTILES, MAX_TOOL_STREAMS

if TYPE_CHECKING:
    from control_plane.domain.histogram import Histogram

ToolKind = Literal["k6", "locust", "oha", "hey", "wrk", "wrk2", "vegeta", "hlog"]
TOOL_KINDS: tuple[ToolKind, ...] = get_args(ToolKind)

ToolClock = Literal["service", "response", "unknown"]
"""From when a tool counts a time: from when it sent the request, or from when it meant to."""

TimeUnit = Literal["ns", "us", "ms"]
TIME_UNITS: dict[TimeUnit, float] = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}
"""Seconds of what the values of an HdrHistogram log may count."""


@dataclass(frozen=True)
class ToolTimes:
    """How long requests took, in seconds. `percentiles` by per cent as text: `50`, `99.9`."""

    min: float | None = None
    mean: float | None = None
    max: float | None = None
    percentiles: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ToolSeconds:
    """The course: a row for each moment `at_s` after the first, rates per second, times in s."""

    at_s: tuple[float, ...]
    completed: tuple[float | None, ...]
    errors: tuple[float | None, ...]
    p50: tuple[float | None, ...]
    p95: tuple[float | None, ...]
    p99: tuple[float | None, ...]


@dataclass(frozen=True)
class ToolStream:
    """The requests of one name, or all of them.

    `requests` are those that ended, failed ones included. `errors` by kind in the words of the
    file; `failed` counts them, None where the file does not. `throughput_per_s` is the tool's own
    where it prints one, else successes over the time from the first start to the last end.
    `failed_are_timed`: the times hold requests that failed, too.
    """

    name: str
    requests: int | None
    failed: int | None
    times: ToolTimes
    errors: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)
    duration_s: float | None = None
    throughput_per_s: float | None = None
    bytes_received: int | None = None
    failed_are_timed: bool = False
    seconds: ToolSeconds | None = None

    @property
    def error_share(self) -> float | None:
        """The share of failed requests; None where the file does not count both."""
        if self.failed is None or not self.requests:
            return None
        return self.failed / self.requests


@dataclass(frozen=True)
class ToolReport:
    """What a file tells. `facts` are pairs of name and text, such as the number of connections.

    `notes` say what the numbers of the tool are, and what the file leaves out.
    """

    tool: str
    clock: ToolClock
    streams: tuple[ToolStream, ...]
    version: str | None = None
    measured_at: datetime | None = None
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def report_fault(report: ToolReport) -> str:
    """Return the first thing in a report that cannot be shown; empty where all can.

    Every number is from 0 to 10^15, percentiles rise, and no moment is before the last one.
    """
    if not 1 <= len(report.streams) <= MAX_TOOL_STREAMS:
        return f"{len(report.streams):,} names of requests are not 1 to {MAX_TOOL_STREAMS}"
    for stream in report.streams:
        fault = next(chain(_stream_faults(stream), _course_faults(stream.seconds)), "")
        if fault:
            return f"{fault} ({stream.name})"
    return ""


MOST = 1e15
ROUNDED = 0.99
"""A percentile may be so much below a lower one, because tools round them differently."""

_PERCENT = re.compile(r"\d{1,3}(?:\.\d{1,20})?", re.ASCII)
_STATUS = re.compile(r"\d{1,3}", re.ASCII)


def _is_number(value: float | None) -> bool:
    return value is None or 0 <= value <= MOST


def _stream_faults(stream: ToolStream) -> Iterator[str]:
    times = stream.times
    numbers = {
        "the number of requests": stream.requests,
        "the number of failed requests": stream.failed,
        "the throughput": stream.throughput_per_s,
        "the duration": stream.duration_s,
        "the number of bytes": stream.bytes_received,
        "the minimum": times.min,
        "the mean": times.mean,
        "the maximum": times.max,
        **{f"p{name[:20]}": value for name, value in times.percentiles.items()},
        **{f"the number of {kind[:40]}": many for kind, many in stream.errors.items()},
        **{f"the number of {status[:20]}": many for status, many in stream.statuses.items()},
    }
    for name, value in numbers.items():
        if not _is_number(value):
            yield f"{name} is {value}, and no number from 0 to 10^15"
    if (stream.failed or 0) > (stream.requests if stream.requests is not None else MOST):
        yield "more requests failed than there are"
    for status in stream.statuses:
        if not _STATUS.fullmatch(status):
            yield f"{status[:20]!r} is no status"
    yield from _percentile_faults(times)


def _percentile_faults(times: ToolTimes) -> Iterator[str]:
    if len(times.percentiles) > MAX_PERCENTILES:
        yield f"there are more than {MAX_PERCENTILES:,} percentiles"
    for name in times.percentiles:
        if not _PERCENT.fullmatch(name) or float(name) > 100:
            yield f"{name[:20]!r} is no percentile: they are from 0 to 100"
    ordered = sorted(times.percentiles.items(), key=lambda item: float(item[0]))
    for (low, low_s), (high, high_s) in pairwise(ordered):
        if high_s < ROUNDED * low_s:
            yield f"p{high} is below p{low}"
    if times.min is not None and times.max is not None and times.max < ROUNDED * times.min:
        yield "the maximum is below the minimum"


def _course_faults(course: ToolSeconds | None) -> Iterator[str]:
    if course is None:
        return
    columns = (course.completed, course.errors, course.p50, course.p95, course.p99)
    if any(len(column) != len(course.at_s) for column in columns):
        yield "not every moment has all of its numbers"
    if any(later < earlier for earlier, later in pairwise(course.at_s)):
        yield "its times go backwards"
    if not all(map(_is_number, chain(course.at_s, *columns))):
        yield "a moment has a number that is not from 0 to 10^15"


@dataclass(frozen=True)
class ToldOfFile:
    """What somebody says of a file that is handed in; kind and unit None: it is looked at."""

    name: str
    kind: ToolKind | None = None
    unit: TimeUnit | None = None
    title: str = ""


class ToolReading(NamedTuple):
    """A report, and the histogram of each of its streams; None where percentiles are all."""

    report: ToolReport
    samples: "tuple[Histogram | None, ...]"


ToolFileReader = Callable[[BinaryIO, ToolKind | None, TimeUnit | None], ToolReading]
"""Reads a file as that kind with that unit. Raises InvalidInput."""

ToolFileRecognizer = Callable[[BinaryIO, ToolKind | None, TimeUnit | None], object]
"""Looks at how a file begins. Raises InvalidInput where a reader would refuse that."""


@dataclass(frozen=True)
class ToolFile:
    """The file that a result was read from; `read_as` names the kind, and the unit if given."""

    name: str
    sha256: str
    size_bytes: int
    read_as: str


@dataclass(frozen=True)
class ToolResult:
    """A result of another tool, kept beside the runs. It is never judged, so never valid."""

    id: str
    title: str
    imported_at: datetime
    file: ToolFile
    report: ToolReport
    samples: "tuple[Histogram | None, ...]"

    @property
    def url(self) -> str:
        """The address of its page, below that of the dashboard."""
        return tool_result_address(self.id)

    @property
    def judgement(self) -> str:
        """`measured by wrk 4.1.0, not judged`."""
        version = f" {self.report.version}" if self.report.version else ""
        return f"measured by {self.report.tool}{version}, not judged"

    @property
    def has_samples(self) -> bool:
        """Whether any stream has a histogram; else the file has percentiles alone."""
        return any(samples is not None for samples in self.samples)
