"""Put first on the path of a load worker, this makes it record samples without their first byte.

A sample is four entries then, and no histogram holds first bytes.
"""

from typing import Any

import numpy as np

from control_plane.load import window_stats
from control_plane.load.outcome import Outcome
from control_plane.load.sample_buffer import End, SampleBuffer, Samples

_FIELDS = 4


class UnheardBuffer(SampleBuffer):
    """Takes in intended start, start, end and outcome."""

    def _end_of(self, full: int) -> End:
        starts, intended, entries = self._starts, self._intended, self._entries
        put, hand_over = entries.extend, self._hand_over_unless_locked
        full = full // 5 * _FIELDS

        def end(user: int, end_ns: int, ended: Outcome, begun_ns: int = 0) -> bool:
            put((intended[user], starts[user], end_ns, ended))
            starts[user] = intended[user] = begun_ns
            return len(entries) >= full and hand_over()

        return end

    def hand_over(self) -> Samples:
        samples = _samples(len(self._entries) // _FIELDS, self._entries, planned=self._planned)
        del self._entries[: _FIELDS * len(samples)]
        if len(samples):
            self._count(samples)
        return samples


def _samples(count: int, entries: list[Any], *, planned: bool) -> Samples:
    intended, starts, ends, ended = (
        entries[place : _FIELDS * count : _FIELDS] for place in range(_FIELDS)
    )
    starts_ns = np.fromiter(starts, np.int64, count)
    return Samples(
        np.fromiter(intended, np.int64, count) if planned else starts_ns,
        starts_ns,
        np.fromiter(ends, np.int64, count),
        ended,
    )


window_stats.SampleBuffer = UnheardBuffer  # type: ignore[misc] # what it is here for
