"""Response times of each second of one window, ready to be counted into any grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from control_plane.domain.histogram import Counts
from control_plane.domain.record import Second


@dataclass(frozen=True, eq=False)
class Slices:
    """Three columns of shape (n,): in `second`, `counts` requests took what bucket `indices` holds.

    Seconds before the window are negative. Buckets are those of the histogram.
    """

    second: Counts
    indices: Counts
    counts: Counts

    @staticmethod
    def of(seconds: Sequence[Second]) -> Slices:
        parts = [(one.index, one.response.indices, one.response.counts) for one in seconds]
        return Slices.joined(parts)

    @staticmethod
    def joined(parts: Sequence[tuple[int, Counts, Counts]]) -> Slices:
        """Each part: a second, its buckets, and the requests in each of them."""
        none = np.zeros(0, np.int64)
        lengths = [len(indices) for _, indices, _ in parts]
        return Slices(
            np.repeat(np.array([index for index, _, _ in parts], np.int64), lengths),
            np.concatenate([none, *(indices for _, indices, _ in parts)]),
            np.concatenate([none, *(counts for _, _, counts in parts)]),
        )
