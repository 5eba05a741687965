"""Blobs give back exactly what went in."""

import zlib
from collections.abc import Sequence

import numpy as np
import pytest

from control_plane.domain.histogram import EMPTY, HIGHEST_NS, Histogram
from control_plane.domain.stream_record import Second
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


def test_slices_are_the_response_times_of_each_second() -> None:
    given = (
        Second(-1, 3, of(1), of(2, 2)),
        Second(0, 0, of(5, 6), EMPTY),
        Second(7, 0, of(5), of(9)),
    )
    back = unpack_slices(packed(given))
    rows = zip(back.second, back.indices, back.counts, strict=True)
    assert [tuple(map(int, row)) for row in rows] == [(-1, 2, 2), (7, 9, 1)]
    assert len(unpack_slices(packed(())).counts) == 0
    whole = len(zlib.decompress(packed(given)))
    assert pack_seconds(given, whole) == packed(given)
    assert pack_seconds(given, whole - 1) is None


def test_a_damaged_blob_is_noticed() -> None:
    blob = pack_histogram(HISTOGRAMS["many"])
    with pytest.raises(zlib.error):
        unpack_histogram(blob[:-9])
