"""What ended in one second."""

from control_plane.domain.stream_record import Second
from control_plane.load.sample_buffer import HistogramBuilder, Samples


class SecondStats:
    """Without a schedule both times are the same and are counted once."""

    def __init__(self, *, scheduled: bool) -> None:
        self.errors = 0
        self.service = HistogramBuilder()
        self.response = HistogramBuilder() if scheduled else self.service

    def add(self, samples: Samples) -> None:
        completed = samples.completed()
        self.errors += len(samples) - len(completed)
        self.service.add(completed.ends - completed.starts)
        if self.response is not self.service:
            self.response.add(completed.ends - completed.intended)

    def second(self, index: int) -> Second:
        service = self.service.histogram()
        same = self.response is self.service
        return Second(index, self.errors, service, service if same else self.response.histogram())
