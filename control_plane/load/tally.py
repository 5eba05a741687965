"""Counts by bucket of the samples of one second, so that samples themselves need not be kept."""

import numpy as np
from numpy.typing import NDArray

from control_plane.domain.histogram import (
    EMPTY,
    HIGHEST_NS,
    LOWEST_ROUNDED,
    Histogram,
    bucket,
    bucket_rounded,
)

Durations = NDArray[np.int64]

_BUCKETS = int(bucket(np.array([HIGHEST_NS]))[0]) + 1


class Tally:
    """Durations in nanoseconds; its size does not depend on how many were added."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS, np.int64)
        self._lowest, self._highest, self._sum = 2**63 - 1, 0, 0

    def add(self, durations_ns: Durations) -> None:
        """Shape (n,), n may be 0; all at least 0."""
        if len(durations_ns):
            lowest, highest = int(durations_ns.min()), int(durations_ns.max())
            usual = lowest >= LOWEST_ROUNDED and highest <= HIGHEST_NS
            indices = bucket_rounded(durations_ns) if usual else bucket(durations_ns)
            np.add.at(self._counts, indices, 1)
            self._lowest = min(self._lowest, lowest)
            self._highest = max(self._highest, highest)
            self._sum += int(durations_ns.sum())

    def histogram(self) -> Histogram:
        indices = np.flatnonzero(self._counts).astype(np.int64)
        if not len(indices):
            return EMPTY
        counts = self._counts[indices]
        return Histogram(indices, counts, self._lowest, self._highest, self._sum)
