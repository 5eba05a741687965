"""HDR histograms of durations: three digits from 1 ns to 2.4 hours.

Layout and encoding are those of HdrHistogram (G. Tene), so other HDR tools read the blobs:
2,048 sub-buckets, unit magnitude 0, the V2 compressed encoding. Bucketing is done in bulk.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

HIGHEST_NS = 2**43 - 1
"""Longer durations are counted as this one."""

_HALF_BITS = 10
LOWEST_ROUNDED = 1 << _HALF_BITS
_REST_BITS = 52 - _HALF_BITS
_ZERO = (1_023 + _HALF_BITS - 1) << _HALF_BITS
"""The exponent of a double is stored with 1,023 added; that of the first full half is ten."""

Counts = NDArray[np.int64]
Integers = NDArray[np.integer[Any]]


def bucket(values_ns: Counts) -> Counts:
    """Return the bucket index of each value (shape kept); values below 1,024 are their own."""
    clipped = np.minimum(np.maximum(values_ns, 0), HIGHEST_NS)
    return np.where(clipped < LOWEST_ROUNDED, clipped, bucket_rounded(clipped))


def bucket_rounded(values_ns: Counts) -> Counts:
    """Return what `bucket` does, for LOWEST_ROUNDED to HIGHEST_NS only, in a third of the time.

    Of a double the exponent and the first ten bits behind the leading one are the index, but for a
    constant.
    """
    indices: Counts = (values_ns.astype(np.float64).view(np.int64) >> _REST_BITS) - _ZERO
    return indices


def middle_ns(indices: Counts) -> Counts:
    """Return the middle of each bucket, in nanoseconds (shape kept)."""
    shift = np.maximum((indices >> _HALF_BITS) - 1, 0)
    middles: Counts = ((indices - (shift << _HALF_BITS)) << shift) + ((1 << shift) >> 1)
    return middles


@dataclass(frozen=True, eq=False)
class Histogram:
    """Sparse counts: `indices` ascending, `counts` beside them; smallest, largest and sum exact.

    An empty histogram has no indices and `minimum_ns` = `maximum_ns` = 0.
    """

    indices: Counts
    counts: Counts
    minimum_ns: int
    maximum_ns: int
    sum_ns: int

    @staticmethod
    def of(values_ns: Counts) -> Histogram:
        """Make a histogram of int64 nanoseconds, shape (n,); n may be 0."""
        if not len(values_ns):
            return EMPTY
        indices, counts = np.unique(bucket(values_ns), return_counts=True)
        return Histogram(
            indices,
            counts,
            int(values_ns.min()),
            int(values_ns.max()),
            int(values_ns.sum()),
        )

    @cached_property
    def total(self) -> int:
        """The number of samples."""
        return int(self.counts.sum())

    @property
    def is_sound(self) -> bool:
        """Whether it could have been measured: buckets ascend, and nothing is negative."""
        return bool(
            len(self.indices) == len(self.counts)
            and np.all(np.diff(self.indices) > 0)
            and np.all(self.indices >= 0)
            and np.all(self.indices <= bucket(np.array([HIGHEST_NS]))[0])
            and np.all(self.counts > 0)
            and 0 <= self.minimum_ns <= self.maximum_ns
            and self.sum_ns >= 0
        )

    @cached_property
    def _up_to(self) -> Counts:
        """How many samples lie in each bucket and those below it."""
        return np.cumsum(self.counts)

    @property
    def mean_ns(self) -> float:
        """The mean of all samples; NaN when empty."""
        return self.sum_ns / self.total if self.total else float("nan")

    def quantile_ns(self, share: float) -> float:
        """Return the smallest value with at least `share` of the samples at or below it.

        That is the nearest rank.
        """
        return float(self.quantiles_ns(np.array([share]))[0])

    def quantiles_ns(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `quantile_ns` of each share, shape kept; NaN when empty."""
        if not self.total:
            return np.full(shares.shape, np.nan)
        ranks = np.clip(np.ceil(np.round(shares * self.total, 6)), 1, self.total)
        found = np.searchsorted(self._up_to, ranks)
        values = middle_ns(self.indices[found])
        return np.clip(values, self.minimum_ns, self.maximum_ns).astype(np.float64)

    def beyond(self, share: float) -> int:
        """Return the support of a percentile: how many samples lie beyond its nearest rank."""
        return self.total - int(np.ceil(round(share * self.total, 6)))

    def encode(self) -> bytes:
        """Return the HDR V2 compressed encoding in base64, as HdrHistogram's log files hold it."""
        dense = HdrHistogram(1, HIGHEST_NS, 3)
        view = np.ctypeslib.as_array(dense.counts)
        view[self.indices] = self.counts
        dense.total_count = self.total
        dense.min_value, dense.max_value = self.minimum_ns, self.maximum_ns
        encoded = bytes(dense.encode())
        _release(dense)
        return encoded


EMPTY = Histogram(np.zeros(0, np.int64), np.zeros(0, np.int64), 0, 0, 0)


def _release(dense: HdrHistogram) -> None:
    """Part it from its encoder: together 280 kB would wait for a full garbage collection."""
    dense.encoder = None


def decode(blob: bytes) -> Histogram:
    """Read what `encode` wrote. Smallest, largest and sum are then those of the buckets."""
    decoded = HdrHistogram.decode(blob)
    dense = np.array(np.ctypeslib.as_array(decoded.counts), np.int64)
    _release(decoded)
    indices = np.flatnonzero(dense).astype(np.int64)
    if not len(indices):
        return EMPTY
    counts, middles = dense[indices], middle_ns(indices)
    return Histogram(
        indices,
        counts,
        int(middles[0]),
        int(middles[-1]),
        int((middles * counts).sum()),
    )


def merge(histograms: list[Histogram]) -> Histogram:
    """Return a histogram of all samples of all histograms."""
    full = [histogram for histogram in histograms if histogram.total]
    if not full:
        return EMPTY
    together = np.concatenate([histogram.indices for histogram in full])
    indices, where = np.unique(together, return_inverse=True)
    counts = np.zeros(len(indices), np.int64)
    np.add.at(counts, where, np.concatenate([histogram.counts for histogram in full]))
    return Histogram(
        indices,
        counts,
        min(histogram.minimum_ns for histogram in full),
        max(histogram.maximum_ns for histogram in full),
        sum(histogram.sum_ns for histogram in full),
    )
