"""HdrHistogram logs (`.hlog`): a compressed histogram for each interval.

The encoding is the V2 of HdrHistogram (G. Tene). It is decoded here, because the library believes
what the header of a histogram says of sizes.
"""

import base64
import binascii
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import starmap
from typing import BinaryIO

import numpy as np

from control_plane.domain.errors import InvalidInput
from control_plane.domain.histogram import HIGHEST_NS, Counts, Histogram, bucket, merge
from control_plane.domain.limits import MAX_TOOL_STREAMS
from control_plane.domain.times_and_percentiles import PERCENTILES
from control_plane.domain.tool_result import (
    TIME_UNITS,
    TimeUnit,
    ToolReading,
    ToolReport,
    ToolSeconds,
    ToolStream,
)
from control_plane.other_tools.request_histograms import (
    ALL_REQUESTS,
    COURSE,
    MOST_SECONDS,
    can_tell,
    times_of,
)
from control_plane.other_tools.tool_file import (
    LAST_MOMENT_S,
    damaged,
    number,
    printable,
    text_lines,
)

_ENVELOPE, _HEADER = struct.Struct(">ii"), struct.Struct(">iiiiqqd")
_COMPRESSED, _PLAIN, _COOKIE = 0x1C849304, 0x1C849303, ~0xF0
_MOST_PAYLOAD = 1_000_000
MOST_DECODED = 8_000_000
"""Of all histograms of a log, in bytes without their compression: about a second, and 200 MB."""

_MOST_INDEX = 2_000_000
_MOST_REQUESTS = 10**12
START, BASE, HEADS = "#[StartTime: ", "#[BaseTime: ", '"StartTimestamp"'
A_MOMENT_S = 1e8
"""From here on a start is seconds since 1970, below it since the log began."""

HDR_NOTE = "An HdrHistogram log does not say from when its times are counted, nor what failed."


@dataclass(frozen=True)
class HdrCounts:
    """The full buckets of a histogram as it was logged: the ends of each in its own unit."""

    low: Counts
    high: Counts
    counts: Counts
    size_bytes: int

    def of_unit(self, unit_s: float) -> Histogram:
        """Return it in the product's buckets, of the middles of its own."""
        if not len(self.counts):
            return Histogram.of(self.counts)
        unit_ns = round(unit_s * 1e9)
        ends = [np.minimum(part, HIGHEST_NS // unit_ns) * unit_ns for part in (self.low, self.high)]
        middles = (ends[0] + ends[1] + 1) // 2
        indices, where = np.unique(bucket(middles), return_inverse=True)
        counts = np.zeros(len(indices), np.int64)
        np.add.at(counts, where, self.counts)
        total_ns = int(sum(map(int, starmap(int.__mul__, _pairs(middles, self.counts)))))
        return Histogram(indices, counts, int(ends[0][0]), int(ends[1][-1]), total_ns)


def _pairs(first: Counts, second: Counts) -> Iterator[tuple[int, int]]:
    return zip(first.tolist(), second.tolist(), strict=True)


@dataclass(frozen=True)
class LogInterval:
    """One line of a log: its tag, its start and length in seconds, its largest value as told."""

    tag: str
    at_s: float
    length_s: float
    largest: float
    logged: HdrCounts


def read_hdr_log(file: BinaryIO, unit: TimeUnit | None = None) -> ToolReading:
    """Read a log whose values count `unit`; None: what its column of largest values says."""
    started_s, intervals, decoded = None, list[LogInterval](), 0
    for line, text in text_lines(file):
        if text.startswith((START, BASE)):
            told = text.partition(": ")[2].split(" ")[0]
            started_s = number(told, "the start", line) if started_s is None else started_s
        elif text and not text.startswith(("#", HEADS)):
            intervals.append(_interval(text, line))
            decoded += intervals[-1].logged.size_bytes
        if len(intervals) > MOST_SECONDS:
            raise damaged(line, f"there are more than {MOST_SECONDS:,} intervals.")
        if decoded > MOST_DECODED:
            raise damaged(line, f"the histograms so far hold more than {MOST_DECODED:,} bytes.")
    if not intervals:
        raise InvalidInput("The log holds no interval.")
    tags = dict.fromkeys(interval.tag for interval in intervals)
    if len(tags) > MAX_TOOL_STREAMS:
        raise InvalidInput(f"The log has more than {MAX_TOOL_STREAMS} tags.")
    chosen = unit or _told_unit(intervals)
    parts = [[found for found in intervals if found.tag == tag] for tag in tags]
    read = [_stream(part, TIME_UNITS[chosen]) for part in parts]
    how = "as its column of largest values says" if unit is None else "as the import was told"
    report = ToolReport(
        tool="HdrHistogram",
        clock="unknown",
        streams=tuple(stream for stream, _ in read),
        measured_at=_moment(started_s, intervals[0].at_s),
        notes=(HDR_NOTE, f"Its values were taken as {chosen}, {how}."),
    )
    return ToolReading(report, tuple(samples for _, samples in read))


def _moment(started_s: float | None, first_s: float) -> datetime | None:
    found = first_s if first_s >= A_MOMENT_S else (started_s or 0.0) + first_s
    return datetime.fromtimestamp(found, UTC) if A_MOMENT_S <= found < LAST_MOMENT_S else None


def _told_unit(intervals: Sequence[LogInterval]) -> TimeUnit:
    """Return the unit of which so many are a millisecond as the column of largest values says."""
    known = [found for found in intervals if len(found.logged.counts) and found.largest > 0]
    ratios = [float(found.logged.high[-1]) / found.largest for found in known]
    middle = float(np.median(ratios)) if ratios else 0.0
    for name, unit_s in TIME_UNITS.items():
        # Some writers cut the column to whole milliseconds.
        if 0.5 <= middle * unit_s / TIME_UNITS["ms"] <= 2:
            return name
    raise InvalidInput("The log does not tell the unit of its values: say ns, us or ms.")


def _stream(intervals: Sequence[LogInterval], unit_s: float) -> tuple[ToolStream, Histogram]:
    parts = [found.logged.of_unit(unit_s) for found in intervals]
    samples = merge(parts)
    length_s = sum(found.length_s for found in intervals)
    p50, p95, p99 = (tuple(_percentile(part, name) for part in parts) for name in COURSE)
    rates = [
        part.total / found.length_s if found.length_s else None
        for part, found in zip(parts, intervals, strict=True)
    ]
    stream = ToolStream(
        name=intervals[0].tag or ALL_REQUESTS,
        requests=samples.total,
        failed=None,
        times=times_of(samples),
        duration_s=length_s or None,
        throughput_per_s=samples.total / length_s if length_s else None,
        seconds=ToolSeconds(
            tuple(max(found.at_s - intervals[0].at_s, 0.0) for found in intervals),
            tuple(rates),
            (None,) * len(parts),
            p50,
            p95,
            p99,
        ),
    )
    return stream, samples


def _percentile(samples: Histogram, name: str) -> float | None:
    if not can_tell(name, samples.total):
        return None
    return samples.quantile_ns(PERCENTILES[name]) / 1e9


def _interval(text: str, line: int) -> LogInterval:
    tag, rest = "", text
    if text.startswith("Tag="):
        tag, _, rest = text.removeprefix("Tag=").partition(",")
    values = rest.split(",")
    if len(values) != 4:
        raise damaged(line, f"it has {len(values)} values, and an interval four.")
    at_s, length_s, largest = (
        number(value, name, line)
        for value, name in zip(values, ("the start", "the length", "the largest"), strict=False)
    )
    return LogInterval(printable(tag, 100), at_s, length_s, largest, _decoded(values[3], line))


def _decoded(text: str, line: int) -> HdrCounts:
    """Return what a histogram in base64 holds. Raises InvalidInput."""
    try:
        payload = _inflated(base64.b64decode(text.strip(), validate=True))
        return _counts(payload)
    except (binascii.Error, struct.error, zlib.error, ValueError) as error:
        raise damaged(line, f"its histogram cannot be read: {printable(error)}.") from None


def _inflated(raw: bytes) -> bytes:
    cookie, length = _ENVELOPE.unpack_from(raw)
    if cookie & _COOKIE != _COMPRESSED & _COOKIE:
        raise ValueError("it is none of the compressed V2 encoding")
    inflating = zlib.decompressobj()
    found = inflating.decompress(raw[_ENVELOPE.size : _ENVELOPE.size + length], _MOST_PAYLOAD)
    if inflating.unconsumed_tail or not inflating.eof:
        raise ValueError("it is not whole, or too large")
    return found


def _counts(payload: bytes) -> HdrCounts:
    cookie, length, offset, digits, lowest, highest, _ = _HEADER.unpack_from(payload)
    body = payload[_HEADER.size :]
    if cookie & _COOKIE != _PLAIN & _COOKIE or length != len(body):
        raise ValueError("it is none of the V2 encoding")
    if offset or not 0 <= digits <= 5 or not 1 <= lowest <= highest:
        raise ValueError("its header is of no histogram")
    half_bits = max(math.ceil(math.log2(2 * 10**digits)), 1) - 1
    indices, counts = _filled(body)
    shift = np.maximum((indices >> half_bits) - 1, 0)
    shifted = shift + (lowest.bit_length() - 1)
    if len(indices) and int(shifted.max()) + half_bits + 1 > 62:
        raise ValueError("its values are beyond 64 bits")
    low = (indices - (shift << half_bits)) << shifted
    return HdrCounts(low, low + (np.int64(1) << shifted) - 1, counts, len(payload))


def _filled(body: bytes) -> tuple[Counts, Counts]:
    """Return index and count of each bucket that is not empty. Raises ValueError."""
    numbers = _numbers(body)
    if not len(numbers):
        return numbers, numbers
    # Each alone first: then their sums cannot overflow.
    if numbers.min() < -_MOST_INDEX or numbers.max() > _MOST_REQUESTS:
        raise ValueError("it has more buckets or requests than can be")
    steps = np.where(numbers < 0, -numbers, 1)
    is_filled = numbers > 0
    if steps.sum() > _MOST_INDEX or numbers[is_filled].sum() > _MOST_REQUESTS:
        raise ValueError("it has more buckets or requests than can be")
    return (np.cumsum(steps) - steps)[is_filled], numbers[is_filled]


def _numbers(body: bytes) -> Counts:
    """Return numbers of ZigZag LEB128, below 0 for so many empty buckets. Raises ValueError."""
    octets = np.frombuffer(body, np.uint8).astype(np.int64)
    ends = np.flatnonzero(octets < 0x80)
    if body and (not len(ends) or ends[-1] != len(octets) - 1):
        raise ValueError("it ends inside a number")
    starts = np.concatenate(([0], ends[:-1] + 1))[: len(ends)]
    lengths = ends - starts + 1
    if len(lengths) and lengths.max() > 8:
        raise ValueError("it has more buckets or requests than can be")
    shifts = 7 * (np.arange(len(octets)) - np.repeat(starts, lengths))
    values = np.add.reduceat((octets & 0x7F) << shifts, starts) if len(starts) else octets
    return (values >> 1) ^ -(values & 1)
