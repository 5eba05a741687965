"""What ended in one second."""

from control_plane.domain.record import Second
from control_plane.load.outcome import ERROR_MASK
from control_plane.load.samples import END, INTENDED, OUTCOME, START
from control_plane.load.tally import Samples, Tally


class Slice:
    """Without a schedule both times are the same and are counted once."""

    def __init__(self, *, scheduled: bool) -> None:
        self.errors = 0
        self.service = Tally()
        self.response = Tally() if scheduled else self.service

    def add(self, rows: Samples) -> None:
        failed = rows[:, OUTCOME] & ERROR_MASK != 0
        if failed.any():
            self.errors += int(failed.sum())
            rows = rows[~failed]
        self.service.add(rows[:, END] - rows[:, START])
        if self.response is not self.service:
            self.response.add(rows[:, END] - rows[:, INTENDED])

    def second(self, index: int) -> Second:
        service = self.service.histogram()
        same = self.response is self.service
        return Second(index, self.errors, service, service if same else self.response.histogram())
