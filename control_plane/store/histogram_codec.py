"""Histograms as blobs: zlib over little-endian arrays.

HDR's own encoding takes 0.35 ms each way and forgets the exact smallest, largest and sum; this
one takes a tenth and forgets nothing. `Histogram.encode` writes HDR for other tools.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from control_plane.domain.histogram import Counts, Histogram
from control_plane.domain.stream_record import Second, Slices

_HEADER = struct.Struct("<Iqq16s")
_SECOND = struct.Struct("<iq")
_LEVEL = 1


def pack_histogram(histogram: Histogram) -> bytes:
    """Return the blob of one histogram."""
    return zlib.compress(_raw(histogram), _LEVEL)


def unpack_histogram(blob: bytes) -> Histogram:
    """Return what `pack_histogram` packed."""
    return _histogram(zlib.decompress(blob))


def pack_seconds(seconds: Sequence[Second]) -> bytes:
    """Return all seconds of one window as one blob."""
    parts = (
        _SECOND.pack(second.index, second.errors) + _raw(second.service) + _raw(second.response)
        for second in seconds
    )
    return zlib.compress(b"".join(parts), _LEVEL)


def unpack_slices(blob: bytes) -> Slices:
    """Return the response times alone of what `pack_seconds` packed."""
    return Slices.joined(list(_slices(zlib.decompress(blob))))


def _slices(raw: bytes) -> Iterator[tuple[int, Counts, Counts]]:
    at = 0
    while at < len(raw):
        index, _ = _SECOND.unpack_from(raw, at)
        at += _SECOND.size
        at += _HEADER.size + 10 * _HEADER.unpack_from(raw, at)[0]
        size = _HEADER.unpack_from(raw, at)[0]
        at += _HEADER.size
        yield (
            index,
            np.frombuffer(raw, "<u2", size, at),
            np.frombuffer(raw, "<i8", size, at + 2 * size),
        )
        at += 10 * size


def _raw(histogram: Histogram) -> bytes:
    """Return the bytes before compression. The sum has 16: 10^7 requests of 2 h pass 2^63 ns."""
    header = _HEADER.pack(
        len(histogram.indices),
        histogram.minimum_ns,
        histogram.maximum_ns,
        histogram.sum_ns.to_bytes(16, "little", signed=True),
    )
    indices = histogram.indices.astype("<u2").tobytes()
    return header + indices + histogram.counts.astype("<i8").tobytes()


def _histogram(raw: bytes) -> Histogram:
    size, minimum_ns, maximum_ns, total = _HEADER.unpack_from(raw)
    indices = np.frombuffer(raw, "<u2", size, _HEADER.size).astype(np.int64)
    counts = np.frombuffer(raw, "<i8", size, _HEADER.size + 2 * size).astype(np.int64)
    sum_ns = int.from_bytes(total, "little", signed=True)
    return Histogram(indices, counts, minimum_ns, maximum_ns, sum_ns)
