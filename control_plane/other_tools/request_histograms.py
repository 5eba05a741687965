"""Single requests that another tool wrote down, as histograms and seconds of the product."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from control_plane.domain.errors import InvalidInput
from control_plane.domain.histogram import HIGHEST_NS, Counts, Histogram
from control_plane.domain.limits import MAX_TOOL_STREAMS
from control_plane.domain.times_and_percentiles import PERCENTILES, needed_samples
from control_plane.domain.tool_result import ToolSeconds, ToolStream, ToolTimes
from control_plane.other_tools.tool_file import (
    LAST_MOMENT_S,
    MAX_KINDS,
    OTHER_ERRORS,
    damaged,
    percent_name,
    printable,
)

MAX_REQUESTS = 10_000_000
LAST_NS = LAST_MOMENT_S * 10**9
HIGHEST_STATUS = 999
MOST_SECONDS = 21_600
"""A course of more than six hours is not drawn."""

MOST_MOMENTS = 30_000
"""Of all courses of a file; the names that come later have none."""

SHORTEST_RATE_S = 0.25
"""A last second cut shorter than this gives no rate."""

ALL_REQUESTS = "all requests"
SHOWN_PERCENTS = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)
FEWEST_BEYOND = 10
"""A percentile with fewer samples beyond it is none."""

Columns = tuple[Counts, Counts, Counts]
"""Of some requests: when they ended, how long they took, and whether they failed."""


def times_of(samples: Histogram) -> ToolTimes:
    """Return times by nearest rank, each percentile with at least ten samples beyond."""
    if not samples.total:
        return ToolTimes()
    known = [
        percent for percent in SHOWN_PERCENTS if samples.beyond(percent / 100) >= FEWEST_BEYOND
    ]
    found = samples.quantiles_ns(np.array(known or [50.0]) / 100) / 1e9
    return ToolTimes(
        samples.minimum_ns / 1e9,
        samples.mean_ns / 1e9,
        samples.maximum_ns / 1e9,
        {percent_name(percent): float(at) for percent, at in zip(known, found, strict=False)},
    )


@dataclass(frozen=True)
class LoggedRequest:
    """One request: its name, when it began on any clock, and how long it took.

    `failed` is how, empty for a success; `status` 0: no response.
    """

    name: str
    begun_ns: int
    took_ns: int
    failed: str = ""
    status: int = 0
    received: int = 0


class RequestLog:
    """Collects requests in a few bytes each. Raises InvalidInput for too many."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._name, self._failed = array("H"), array("b")
        self._ended, self._took = array("q"), array("q")
        self._errors: Counter[tuple[int, str]] = Counter()
        self._statuses: Counter[tuple[int, int]] = Counter()
        self._received: Counter[int] = Counter()
        self.first_ns = LAST_NS

    def add(self, request: LoggedRequest, line: int) -> None:
        """Take down a request that stands in that line."""
        if not (0 <= request.begun_ns <= LAST_NS and 0 <= request.took_ns <= HIGHEST_NS):
            raise damaged(line, "its time is none.")
        if not 0 <= request.status <= HIGHEST_STATUS:
            raise damaged(line, f"{request.status} is no status.")
        if len(self._took) >= MAX_REQUESTS:
            raise damaged(line, f"there are more than {MAX_REQUESTS:,} requests.")
        place = self._names.setdefault(request.name, len(self._names))
        if place >= MAX_TOOL_STREAMS:
            raise damaged(line, f"there are more than {MAX_TOOL_STREAMS} names of requests.")
        self.first_ns = min(self.first_ns, request.begun_ns)
        self._name.append(place)
        self._failed.append(bool(request.failed))
        self._ended.append(request.begun_ns + request.took_ns)
        self._took.append(request.took_ns)
        self._received[place] += request.received
        if request.status:
            self._statuses[place, request.status] += 1
        if request.failed:
            kind = place, printable(request.failed, 100)
            is_known = kind in self._errors or len(self._errors) < MAX_KINDS
            self._errors[kind if is_known else (place, OTHER_ERRORS)] += 1

    def streams(self) -> tuple[tuple[ToolStream, ...], tuple[Histogram, ...]]:
        """Return all requests as one stream, and where there are several names each of them.

        Raises InvalidInput where there is no request.
        """
        if not len(self._took):
            raise InvalidInput("The file holds no request.")
        names = np.frombuffer(self._name, np.uint16)
        ended, took = (np.frombuffer(part, np.int64) for part in (self._ended, self._took))
        failed = np.frombuffer(self._failed, np.int8).astype(np.int64)
        wanted: list[tuple[str, Sequence[int]]] = [(ALL_REQUESTS, range(len(self._names)))]
        wanted += [(name, (place,)) for name, place in self._names.items()]
        if len(self._names) == 1:
            wanted = wanted[1:]
        found, left = [], MOST_MOMENTS
        for name, places in wanted:
            chosen = np.isin(names, np.array(places))
            columns = ended[chosen] - self.first_ns, took[chosen], failed[chosen]
            stream, samples = self._stream(name, places, columns)
            course = seconds_of(columns, stream.duration_s or 0.0, min(left, MOST_SECONDS))
            left -= len(course.at_s) if course else 0
            found.append((replace(stream, seconds=course), samples))
        return tuple(stream for stream, _ in found), tuple(samples for _, samples in found)

    def _stream(
        self, name: str, places: Sequence[int], columns: Columns
    ) -> tuple[ToolStream, Histogram]:
        ended, took, failed = columns
        samples = Histogram.of(took[failed == 0])
        duration_s = float(ended.max() - (ended - took).min()) / 1e9
        errors = Counter({kind: 0 for at, kind in self._errors if at in places})
        for (at, kind), many in self._errors.items():
            errors[kind] += many if at in places else 0
        statuses: Counter[str] = Counter()
        for (at, status), many in self._statuses.items():
            if at in places:
                statuses[str(status)] += many
        stream = ToolStream(
            name=name,
            requests=len(took),
            failed=int(failed.sum()),
            times=times_of(samples),
            errors=dict(errors),
            statuses=dict(sorted(statuses.items())),
            duration_s=duration_s,
            throughput_per_s=samples.total / duration_s if duration_s else None,
            bytes_received=sum(self._received[at] for at in places) or None,
        )
        return stream, samples


def seconds_of(columns: Columns, duration_s: float, most: int) -> ToolSeconds | None:
    """Return what ended in each second; None where that would be more seconds than `most`.

    The last one may be shorter: its rates are those of its own length.
    """
    ended, took, failed = columns
    second = ended // 1_000_000_000
    length = int(second.max()) + 1
    if length > most:
        return None
    good = failed == 0
    completed = np.bincount(second[good], minlength=length)
    errors = np.bincount(second[~good], minlength=length)
    order = np.lexsort((took[good], second[good]))
    parts = np.split(took[good][order], np.cumsum(completed)[:-1])
    p50, p95, p99 = (tuple(_nearest(part, name) for part in parts) for name in COURSE)
    return ToolSeconds(
        tuple(map(float, range(length))),
        _rates(completed, duration_s),
        _rates(errors, duration_s),
        p50,
        p95,
        p99,
    )


def _rates(counts: Counts, duration_s: float) -> tuple[float | None, ...]:
    last_s = duration_s - (len(counts) - 1)
    last = float(counts[-1]) / last_s if last_s >= SHORTEST_RATE_S else None
    return (*map(float, counts[:-1]), last)


COURSE = ("p50", "p95", "p99")
"""The percentiles of each second or interval."""


def can_tell(name: str, samples: int) -> bool:
    """Whether so many samples tell a percentile of the course: ten beyond it, or it is p50."""
    return samples >= (1 if name == "p50" else needed_samples(name))


def _nearest(ascending: Counts, name: str) -> float | None:
    """Return a percentile in seconds by nearest rank; None where it cannot be told."""
    if not can_tell(name, len(ascending)):
        return None
    rank = int(np.ceil(round(PERCENTILES[name] * len(ascending), 6)))
    return float(ascending[max(rank, 1) - 1]) / 1e9
