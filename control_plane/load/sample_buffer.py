"""Requests that ended, many at once: what the recorder sorts into counts."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from control_plane.domain.histogram import (
    EMPTY,
    HIGHEST_NS,
    LOWEST_ROUNDED,
    Histogram,
    bucket,
    bucket_rounded,
)
from control_plane.load.outcome import ERROR_MASK, Outcome

Durations = NDArray[np.int64]

_BUCKETS = int(bucket(np.array([HIGHEST_NS]))[0]) + 1


class HistogramBuilder:
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


FIELDS = 4
"""A sample is so many entries of a list: intended start, actual start, end, how it ended."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Samples:
    """Nanoseconds, each of shape (n,), and as many `ended`.

    `intended` are the `starts` themselves where nobody knew before when a request starts.
    """

    intended: Durations
    starts: Durations
    ends: Durations
    ended: list[Outcome]

    @staticmethod
    def first(count: int, entries: list[Any], *, planned: bool) -> "Samples":
        """`FIELDS` entries for each; `planned`: the intended starts are of their own."""
        intended, starts, ends, ended = (
            entries[place : FIELDS * count : FIELDS] for place in range(FIELDS)
        )
        starts_ns = np.fromiter(starts, np.int64, count)
        return Samples(
            np.fromiter(intended, np.int64, count) if planned else starts_ns,
            starts_ns,
            np.fromiter(ends, np.int64, count),
            ended,
        )

    def __len__(self) -> int:
        return len(self.ended)

    @cached_property
    def kinds(self) -> Mapping[Outcome, int]:
        """How many ended in the same way."""
        if self.ended and self.ended.count(self.ended[0]) == len(self):
            return {self.ended[0]: len(self)}
        return Counter(self.ended)

    def where(self, chosen: Mask) -> "Samples":
        """`chosen` of shape (n,). Nothing is copied where that are all, as nearly always."""
        if chosen.all():
            return self
        starts = self.starts[chosen]
        planned = self.intended is not self.starts
        return Samples(
            self.intended[chosen] if planned else starts,
            starts,
            self.ends[chosen],
            list(compress(self.ended, chosen.tolist())),
        )

    def completed(self) -> "Samples":
        return self if self._good is None else self.where(self._good)

    @cached_property
    def _good(self) -> Mask | None:
        """Which completed; None for all."""
        good = {kind: not kind[0] & ERROR_MASK for kind in self.kinds}
        if all(good.values()):
            return None
        return np.fromiter(map(good.__getitem__, self.ended), np.bool_, len(self))

    def groups(self, keys: Durations) -> Iterator[tuple[int, "Samples"]]:
        """Each of the `keys`, shape (n,), with its samples, ascending."""
        if not len(self):
            return
        first, last = int(keys.min()), int(keys.max())
        if first == last:
            yield first, self
            return
        for key in np.unique(keys):
            yield int(key), self.where(keys == key)
