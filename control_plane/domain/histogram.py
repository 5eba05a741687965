"""HDR histograms of durations: three digits from 1 ns to 2.4 hours.

Layout and encoding are those of HdrHistogram (G. Tene), so other HDR tools read the blobs:
2,048 sub-buckets, unit magnitude 0, the V2 compressed encoding. Bucketing is done in bulk.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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


def bucket(values_ns: Counts) -> Counts:
    """The index of the bucket of each value (shape kept); values below 1,024 are their own."""
    clipped = np.minimum(np.maximum(values_ns, 0), HIGHEST_NS)
    return np.where(clipped < LOWEST_ROUNDED, clipped, bucket_rounded(clipped))


def bucket_rounded(values_ns: Counts) -> Counts:
    """As `bucket`, for values from LOWEST_ROUNDED to HIGHEST_NS: in a third of the time.

    Of a double the exponent and the first ten bits behind the leading one are the index, but for a
    constant.
    """
    indices: Counts = (values_ns.astype(np.float64).view(np.int64) >> _REST_BITS) - _ZERO
    return indices


def middle_ns(indices: Counts) -> Counts:
    """The middle of each bucket, in nanoseconds (shape kept)."""
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
        """Bucket int64 nanoseconds, shape (n,); n may be 0."""
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
        return int(self.counts.sum())

    @cached_property
    def _up_to(self) -> Counts:
        """How many samples lie in each bucket and those below it."""
        return np.cumsum(self.counts)

    @property
    def mean_ns(self) -> float:
        """NaN when empty."""
        return self.sum_ns / self.total if self.total else float("nan")

    def quantile_ns(self, share: float) -> float:
        """Nearest rank: the smallest value with at least `share` of the samples at or below it."""
        return float(self.quantiles_ns(np.array([share]))[0])

    def quantiles_ns(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """As `quantile_ns` for each share, shape kept; NaN when empty."""
        if not self.total:
            return np.full(shares.shape, np.nan)
        ranks = np.clip(np.ceil(np.round(shares * self.total, 6)), 1, self.total)
        found = np.searchsorted(self._up_to, ranks)
        values = middle_ns(self.indices[found])
        return np.clip(values, self.minimum_ns, self.maximum_ns).astype(np.float64)

    def beyond(self, share: float) -> int:
        """How many samples lie beyond the nearest rank of `share`: the support of a percentile."""
        return self.total - int(np.ceil(round(share * self.total, 6)))

    def encode(self) -> bytes:
        """The HDR V2 compressed encoding in base64, as HdrHistogram's log files hold it."""
        dense = _empty_hdr()
        view = np.ctypeslib.as_array(dense.counts)
        view[self.indices] = self.counts
        dense.total_count = self.total
        dense.min_value, dense.max_value = self.minimum_ns, self.maximum_ns
        encoded = bytes(dense.encode())
        _release(dense)
        return encoded


EMPTY = Histogram(np.zeros(0, np.int64), np.zeros(0, np.int64), 0, 0, 0)


def _empty_hdr() -> HdrHistogram:
    return HdrHistogram(1, HIGHEST_NS, 3)


def _release(dense: HdrHistogram) -> None:
    """It and its encoder hold each other: 280 kB that wait for a full garbage collection."""
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
    """All samples of all histograms, as if they had been bucketed together."""
    full = [one for one in histograms if one.total]
    if not full:
        return EMPTY
    indices, where = np.unique(np.concatenate([one.indices for one in full]), return_inverse=True)
    counts = np.zeros(len(indices), np.int64)
    np.add.at(counts, where, np.concatenate([one.counts for one in full]))
    return Histogram(
        indices,
        counts,
        min(one.minimum_ns for one in full),
        max(one.maximum_ns for one in full),
        sum(one.sum_ns for one in full),
    )
