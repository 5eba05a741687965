"""Blobs give back exactly what went in."""

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import pytest

from control_plane.domain.histogram import EMPTY, HIGHEST_NS, Histogram
from control_plane.domain.stream_record import Second, Slices
from control_plane.store.mapping import (
    pack_histogram,
    pack_seconds,
    unpack_histogram,
    unpack_slices,
)


def of(*values_ns: int) -> Histogram:
    return Histogram.of(np.array(values_ns, np.int64))


def contents(histogram: Histogram) -> tuple[object, ...]:
    return (
        histogram.indices.tolist(),
        histogram.counts.tolist(),
        histogram.minimum_ns,
        histogram.maximum_ns,
        histogram.sum_ns,
    )


HISTOGRAMS = {
    "empty": EMPTY,
    "one": of(1),
    "both ends": of(0, HIGHEST_NS),
    "many": Histogram.of(np.random.default_rng(1).integers(1, 10**10, 50_000)),
    "a sum beyond 64 bits": Histogram(
        np.array([7], np.int64), np.array([2**40], np.int64), 7, 7, 2**70
    ),
}


@pytest.mark.parametrize("kind", HISTOGRAMS)
def test_a_histogram_comes_back(kind: str) -> None:
    back = unpack_histogram(pack_histogram(HISTOGRAMS[kind]))
    assert contents(back) == contents(HISTOGRAMS[kind])
    assert back.indices.dtype == back.counts.dtype == np.int64


def packed(seconds: Sequence[Second]) -> bytes:
    blob = pack_seconds(seconds)
    assert blob is not None
    return blob


def rows(blob: bytes) -> list[tuple[int, int, int]]:
    """Return second, bucket and count of each entry."""
    back = unpack_slices(blob)
    columns = (np.repeat(back.seconds, back.sizes), back.indices, back.counts)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_slices_are_the_response_times_of_each_second() -> None:
    given = (
        Second(-1, 3, of(1), of(2, 2)),
        Second(0, 0, of(5, 6), EMPTY),
        Second(7, 0, of(5), of(9)),
    )
    assert rows(packed(given)) == [(-1, 2, 2), (7, 9, 1)]
    assert rows(packed(())) == []
    whole = len(Slices.of(given).to_bytes())
    assert pack_seconds(given, whole) == packed(given)
    assert pack_seconds(given, whole - 1) is None


@pytest.mark.parametrize("most", [1, 255, 256, 65_536, 2**32, 2**62])
def test_slices_of_any_counts_and_of_both_ends_come_back(most: int) -> None:
    counted = Histogram(np.array([0, 34_000], np.int64), np.array([1, most]), 0, HIGHEST_NS, 7)
    given = (Second(-2, 0, EMPTY, counted), Second(86_400, 0, EMPTY, of(HIGHEST_NS)))
    last = int(of(HIGHEST_NS).indices[0])
    assert rows(packed(given)) == [(-2, 0, 1), (-2, 34_000, most), (86_400, last, 1)]


def test_slices_of_before_come_back_without_service_times() -> None:
    """Until schema 0025 both times of a second stood one after the other, as pairs of columns."""
    head, blob = struct.Struct("<Iqq16s"), b""
    for second, service, response in ((-1, (3,), (4, 900)), (6, (3,), ())):
        blob += struct.pack("<iq", second, 0)
        for indices in (service, response):
            blob += head.pack(len(indices), 1, 2, bytes(16))
            blob += np.array(indices, "<u2").tobytes() + np.full(len(indices), 5, "<i8").tobytes()
    assert rows(zlib.compress(blob)) == [(-1, 4, 5), (-1, 900, 5)]


@pytest.mark.parametrize("place", [0, 4, 8, 13])
def test_damaged_slices_are_noticed(place: int) -> None:
    """A count of seconds or of buckets, a width or a number of buckets that fits no other."""
    raw = bytearray(Slices.of((Second(0, 0, EMPTY, of(5, 9)),)).to_bytes())
    raw[place] += 1
    with pytest.raises((ValueError, TypeError)):
        Slices.from_bytes(bytes(raw))


def test_a_damaged_blob_is_noticed() -> None:
    blob = pack_histogram(HISTOGRAMS["many"])
    with pytest.raises(zlib.error):
        unpack_histogram(blob[:-9])
