"""Drives one stream through ramp-up, warm-up and window."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from control_plane.load import schedule
from control_plane.load.clock import sleep_until
from control_plane.load.request_source import RequestSource
from control_plane.load.schedule import ArrivalQueue, OpenPhase, PacedPhase, Pacing, Phase
from control_plane.load.strategies.strategy import Strategy
from control_plane.load.worker_protocol import LoadPlan

_EARLY = 2**40
"""The number of the first request before a window by requests, of which there may be any number:
those of the window are the same whatever went before, and no random value comes twice.
"""


class StreamDriver:
    """Makes the phases of one stream and lets a strategy run them.

    `begin_ns` is the common start of all streams, to which the stream's own delay is added."""

    def __init__(self, plan: LoadPlan, begin_ns: int) -> None:
        self._plan = plan
        self._begin_ns = begin_ns + _ns(plan.stream.start_after_s)
        self._ramped_ns = self._begin_ns + _ns(plan.stream.load.ramp_up_s)
        self._warm_ns = self._ramped_ns + _ns(plan.warmup_s)

    def window_ns(self) -> tuple[int, int] | None:
        """Return begin and end of the window; None where they are not known before.

        They are where the stream stops by duration.
        """
        duration_s = self._plan.duration_s
        if duration_s is None:
            return None
        return self._warm_ns, self._warm_ns + _ns(duration_s)

    def intended(self) -> int | None:
        """Return how many arrivals of an open load lie in a window that is known before; else None.

        The schedule alone says so, whatever became of them.
        """
        window_ns = self.window_ns()
        if window_ns is None or not self._plan.stream.load.is_open:
            return None
        return schedule.count_between(self._arrivals(self._begin_ns), *window_ns)

    def run(self, strategy: Strategy, source: RequestSource, opened: Callable[[int], None]) -> None:
        """Run all phases; return when the last request ended.

        `opened` is called with the begin of a window that was not known before, when it comes.
        """
        for phase in self._phases(source, opened):
            strategy.run(phase)

    def _phases(self, source: RequestSource, opened: Callable[[int], None]) -> Iterator[Phase]:
        window_ns, requests = self.window_ns(), self._plan.requests
        if window_ns is not None:
            # One load without a pause: the window's statistics know what they count.
            yield self._all_users(begin_ns=self._begin_ns, until_ns=window_ns[1])
        elif requests is not None:
            source.go_to(_EARLY)
            if self._ramped_ns > self._begin_ns:
                yield self._all_users(begin_ns=self._begin_ns, until_ns=self._ramped_ns)
            if self._warm_ns > self._ramped_ns and self._plan.share.first == 0:
                yield self._one_user()
            sleep_until(self._warm_ns)
            source.go_to(0)
            yield self._all_users(limit=requests, on_start=opened)

    def _all_users(self, **bounds: Any) -> Phase:
        users = self._plan.users
        if self._plan.stream.load.is_open:
            return OpenPhase(
                users, lambda begin_ns: ArrivalQueue(self._arrivals(begin_ns)), **bounds
            )
        return PacedPhase(users, self._pacing, **bounds)

    def _one_user(self) -> Phase:
        """All processes together warm up with one user."""
        return PacedPhase(
            1,
            lambda begin_ns: schedule.closed(begin_ns, users=1),
            begin_ns=self._ramped_ns,
            until_ns=self._warm_ns,
        )

    def _pacing(self, begin_ns: int) -> Pacing:
        """The ramp-up is over in a phase that begins later than planned."""
        load = self._plan.stream.load
        ramp_up_ns = _ns(load.ramp_up_s) if begin_ns == self._begin_ns else 0
        whole, share = schedule.pacing_of(load, begin_ns, ramp_up_ns), self._plan.share
        return replace(whole, first=lambda user: whole.first(share.number(user)))

    def _arrivals(self, begin_ns: int) -> Iterator[schedule.Moments]:
        return schedule.arrival_times(
            self._plan.stream.load,
            begin_ns=begin_ns,
            opens_ns=begin_ns if self.window_ns() is None else self._warm_ns,
            seed=self._plan.seed,
            share=self._plan.share,
        )


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
