"""Put first on the path of a load worker, this makes it drop every sample.

Who is in flight is followed as ever: deadlines need that.
"""

from typing import Any

from control_plane.domain.stream_record import WindowTotals
from control_plane.load import recorder


class Dropping(recorder.Recorder):
    """Knows who is in flight and the end of the last request, and nothing else."""

    def _end_of(self, _full: int) -> recorder.End:
        starts, intended, last = self._starts, self._intended, [0]
        self._last = last

        def end(user: int, end_ns: int, _ended: recorder.Ended, begun_ns: int = 0) -> bool:
            last[0] = end_ns
            starts[user] = intended[user] = begun_ns
            return False

        return end

    def close(self, *times: Any) -> WindowTotals:
        self._last_ns = self._last[0]
        return super().close(*times)


recorder.Recorder = Dropping
