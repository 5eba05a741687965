"""What the samples of a window come to: counts, sums, histograms, and its seconds.

What is kept are counts, so memory does not grow with the number of requests.
"""

from collections import Counter
from itertools import compress

import numpy as np

from control_plane.domain.histogram import (
    EMPTY,
    HIGHEST_NS,
    LOWEST_ROUNDED,
    Histogram,
    bucket,
    bucket_rounded,
)
from control_plane.domain.stream_record import Second, WindowTotals
from control_plane.load.clock import FAR_NS, SECOND_NS
from control_plane.load.outcome import (
    bytes_received_of,
    count_by_class,
    timeouts_among,
    unanswered_among,
)
from control_plane.load.sample_buffer import Durations, Mask, SampleBuffer, Samples
from control_plane.load.worker_protocol import LoadTraits

_BUCKETS = int(bucket(np.array([HIGHEST_NS]))[0]) + 1


LIKE_COMPLETED = 1.1
"""What was in flight at the end, and took at most so many times as long as any completed request,
is one like them."""


class HistogramBuilder:
    """Durations in nanoseconds; its size does not depend on how many were added."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS, np.int64)
        self._lowest, self._highest, self._sum = 2**63 - 1, 0, 0

    def copy(self) -> "HistogramBuilder":
        """Return another one that holds the same so far."""
        other = HistogramBuilder()
        other._counts = self._counts.copy()
        other._lowest, other._highest, other._sum = self._lowest, self._highest, self._sum
        return other

    def add(self, durations_ns: Durations) -> None:
        """Add durations of shape (n,), n may be 0; all at least 0."""
        if len(durations_ns):
            lowest, highest = int(durations_ns.min()), int(durations_ns.max())
            usual = lowest >= LOWEST_ROUNDED and highest <= HIGHEST_NS
            indices = bucket_rounded(durations_ns) if usual else bucket(durations_ns)
            np.add.at(self._counts, indices, 1)
            self._lowest = min(self._lowest, lowest)
            self._highest = max(self._highest, highest)
            self._sum += int(durations_ns.sum())

    @property
    def highest_ns(self) -> int:
        """The longest that was added; 0 for none."""
        return self._highest

    def histogram(self) -> Histogram:
        """Return what was added so far."""
        indices = np.flatnonzero(self._counts).astype(np.int64)
        if not len(indices):
            return EMPTY
        counts = self._counts[indices]
        return Histogram(indices, counts, self._lowest, self._highest, self._sum)


class SecondStats:
    """What ended in one second.

    Where the load `is_scheduled` response and service time differ; else they are counted once. So
    are first byte and service time for as long as each answer began in the moment of its end.
    """

    def __init__(self, *, is_scheduled: bool) -> None:
        self.errors = self.unanswered = self.received = self.timeouts = 0
        self.service = HistogramBuilder()
        self.response = HistogramBuilder() if is_scheduled else self.service
        self.first_byte = self.service

    def add(self, samples: Samples) -> None:
        """Count samples by whether they completed."""
        completed = samples.completed()
        if failed := len(samples) - len(completed):
            self.errors += failed
            self.unanswered += unanswered_among(samples.kinds)
            self.timeouts += timeouts_among(samples.kinds)
        self.received += bytes_received_of(samples.kinds)
        if self.first_byte is self.service and not samples.began_with_end:
            self.first_byte = self.service.copy()
        if self.first_byte is not self.service:
            self.first_byte.add(samples.first_byte_times())
        self.service.add(completed.ends - completed.starts)
        if self.response is not self.service:
            self.response.add(completed.ends - completed.intended)

    @property
    def longest_ns(self) -> int:
        """The longest response time of those that completed; 0 for none."""
        return self.response.highest_ns

    def second(self, index: int) -> Second:
        """Return the counts as second `index` of the window."""
        service = self.service.histogram()
        response, first_byte = (
            service if other is self.service else other.histogram()
            for other in (self.response, self.first_byte)
        )
        counts = self.unanswered, self.received, self.timeouts
        return Second(index, self.errors, service, response, *counts, first_byte)


class WindowStats:
    """Counts what `buffer` takes in. All times are nanoseconds of the monotonic clock.

    Until `open` says when the window begins, samples are followed but not counted. Safe to use from
    many threads.
    """

    def __init__(self, traits: LoadTraits) -> None:
        self._traits, self.buffer = traits, SampleBuffer(traits, self._count)
        self._lag = HistogramBuilder() if traits.keeps_time else None
        self._seconds: dict[int, SecondStats] = {}
        self._outcomes: Counter[int] = Counter()
        self._early: Counter[int] = Counter()
        self._late_ns: list[int] = []
        self._opened_ns, self._closes_ns = FAR_NS, FAR_NS
        self._next, self._sealed = 0, False
        self._last_ns = self._in_system_ns = self._sent = self._received = 0
        self._away_ns = self._answered = self._late = self._begun_timeouts = 0
        self._late_begun: list[bool] = []
        self._late_took_ns: list[int] = []
        self._longest_ns = 0
        self._begun: Counter[int] = Counter()
        self._closed_sent: int | None = None

    def open(self, opened_ns: int, closes_ns: int = FAR_NS, early: int = 0) -> None:
        """Count what ends after `opened_ns` and not after `closes_ns`.

        Of an open load: what is meant to start from `opened_ns` on and before `closes_ns`. What
        ends in the `early` seconds before the window can be taken too, and counts in nothing else.
        """
        with self.buffer.lock:
            if self._opened_ns == FAR_NS:
                self.buffer.hand_over()
            self._opened_ns, self._closes_ns = opened_ns, closes_ns
            self._next = -early or self._next

    def take(self, index: int) -> Second:
        """Return second `index` of the window, which is over; stragglers count in the next one.

        Seconds before the window are negative; stragglers of the last one are left out.
        """
        with self.buffer.lock:
            self.buffer.hand_over()
            self._next = index + 1
            stats = self._seconds.pop(index, None)
            if stats and index >= 0:
                self._longest_ns = max(self._longest_ns, stats.longest_ns)
        return stats.second(index) if stats else Second(index, 0, EMPTY, EMPTY, first_byte=EMPTY)

    def sent_before(self, at_ns: int) -> int:
        """Return how many requests of an open load that were meant to start in the window went out
        before a second of it began.
        """
        with self.buffer.lock:
            if self._closed_sent is not None:
                return self._closed_sent
            self.buffer.hand_over()
            intended, starts, _ = self.buffer.in_flight()
            second = (at_ns - self._opened_ns) // SECOND_NS
            later = sum(many for begun, many in self._begun.items() if begun >= second)
            flying = self._meant(intended) & (starts < at_ns)
            return self._outcomes.total() - later + int(flying.sum())

    def waiting(self) -> int:
        """Return how many requests that were meant to start in the window are in flight."""
        intended, _, _ = self.buffer.in_flight()
        return int(self._meant(intended).sum())

    def outlasting(self) -> bool:
        """Return whether a request in flight at the end is older than any completed one took."""
        with self.buffer.lock:
            self.buffer.hand_over()
            intended, starts, _ = self.buffer.in_flight()
        ages_ns = self._ages_ns(intended, starts, self._closes_ns)
        longest_ns, inside = self._longest(), (starts < self._closes_ns).tolist()
        return any(age > longest_ns for age in compress(ages_ns, inside))

    def close(self, closes_ns: int | None = None, now_ns: int | None = None) -> WindowTotals:
        """Return the totals of the window, which ends at `closes_ns`, by default with the last
        sample.

        Nothing counts after. Responses of an open load were awaited until `now_ns`. Take the
        seconds that are left after this.
        """
        with self.buffer.lock:
            intended, starts, begun = self._without_end()
            closed_ns = closes_ns or max(self._last_ns, self._opened_ns)
            self._sealed = True
        chosen = self._flying(intended, starts, closed_ns)
        intended, starts, begun = intended[chosen], starts[chosen], begun[chosen]
        ages_ns = self._late_ns + self._ages_ns(intended, starts, now_ns or closed_ns)
        inside_ns = self._inside_ns(starts, closed_ns)
        errors, statuses = count_by_class(self._outcomes.items())
        early_errors, _ = count_by_class(self._early.items())
        self._closed_sent = self._outcomes.total() + len(ages_ns)
        return WindowTotals(
            opened_ns=self._opened_ns,
            duration_ns=closed_ns - self._opened_ns,
            errors=errors,
            statuses=statuses,
            in_flight_ns=tuple(ages_ns),
            in_flight_begun=(*self._late_begun, *begun.tolist()),
            in_flight_answered=(*self._late_answered(), *(False,) * len(begun)),
            begun_timeouts=self._begun_timeouts,
            sent=self._closed_sent,
            bytes_sent=self._sent,
            bytes_received=self._received,
            in_system_ns=self._in_system_ns + inside_ns,
            send_lag=self._lag.histogram() if self._lag else None,
            away_ns=self._away_ns,
            awaited_ns=max(0, now_ns - closed_ns) if now_ns else 0,
            answered=self._answered if self._traits.is_open else None,
            late=self._late,
            early=self._early.total(),
            early_errors=early_errors,
        )

    def _without_end(self) -> tuple[Durations, Durations, Mask]:
        """What is in flight in the buffer, without what was just handed in."""
        intended, starts, begun = self.buffer.in_flight()
        # A thread may have been interrupted between handing in a sample and saying so.
        handed_in = self.buffer.hand_over()
        ended = set(zip(handed_in.intended.tolist(), handed_in.starts.tolist(), strict=True))
        both = zip(intended.tolist(), starts.tolist(), strict=True)
        flying = np.array([both_ns not in ended for both_ns in both], np.bool_)
        return intended[flying], starts[flying], begun[flying]

    def _flying(self, intended: Durations, starts: Durations, closed_ns: int) -> Mask:
        """Which of those in flight belong to the window."""
        self._add_waits(intended, starts)
        chosen = self._meant(intended) if self._traits.is_open else starts < closed_ns
        self._add_lag(intended[chosen], starts[chosen])
        return chosen

    def _ages_ns(self, intended: Durations, starts: Durations, now_ns: int) -> list[int]:
        """As long as a time that ended now: both are counted from the same start."""
        ages: list[int] = (now_ns - (intended if self._traits.is_scheduled else starts)).tolist()
        return ages

    def _meant(self, intended: Durations) -> Mask:
        """Which were meant to start in the window."""
        return (intended >= self._opened_ns) & (intended < self._closes_ns)

    def _count(self, samples: Samples) -> None:
        """Count samples that ended; the lock of the buffer is held."""
        if self._sealed:
            return
        ends = samples.ends
        if self._traits.think_ns:
            self._away_ns += self._inside_ns(ends, ends + self._traits.think_ns)
            self._add_waits(samples.intended, samples.starts)
        if len(samples) and int(ends.min()) <= self._opened_ns:
            self._add_early(samples.where(ends <= self._opened_ns))
        if self._traits.is_open:
            samples = self._meant_of(samples)
        else:
            late = ends > self._closes_ns
            if late.any():
                self._add_late(samples.where(late & (samples.starts < self._closes_ns)))
            samples = samples.where((ends > self._opened_ns) & ~late)
        if len(samples):
            self._add(samples)

    def _add_early(self, samples: Samples) -> None:
        """Count what ended before the window: its outcomes, and its seconds where they are kept."""
        for (outcome, _, _), count in samples.kinds.items():
            self._early[outcome] += count
        if self._next < 0:
            self._add_seconds(samples)

    def _meant_of(self, samples: Samples) -> Samples:
        """Those that were meant to start in the window; which completed inside it is counted."""
        ends = samples.completed().ends
        self._answered += int(((ends > self._opened_ns) & (ends <= self._closes_ns)).sum())
        samples = samples.where(self._meant(samples.intended))
        self._late += int((samples.completed().ends > self._closes_ns).sum())
        return samples

    def _add_waits(self, intended: Durations, starts: Durations) -> None:
        """Count the time of users who had thought enough and had not sent yet."""
        if self._traits.think_ns:
            self._away_ns += self._inside_ns(intended, starts)

    def _add_lag(self, intended: Durations, starts: Durations) -> None:
        if self._lag is not None:
            self._lag.add(starts - intended)

    def _add_late(self, samples: Samples) -> None:
        """Count what ended after the window, before `close`: in flight at its end."""
        self._add_lag(samples.intended, samples.starts)
        self._late_ns += self._ages_ns(samples.intended, samples.starts, self._closes_ns)
        self._late_begun += samples.begun_before(self._closes_ns).tolist()
        since = samples.intended if self._traits.is_scheduled else samples.starts
        took = np.where(samples.completed_mask(), samples.ends - since, FAR_NS)
        self._late_took_ns += took.tolist()
        self._in_system_ns += self._inside_ns(samples.starts, self._closes_ns)

    def _late_answered(self) -> list[bool]:
        """Which of those that ended after the window took hardly longer than the completed ones."""
        most_ns = LIKE_COMPLETED * self._longest()
        return [took <= most_ns for took in self._late_took_ns]

    def _longest(self) -> int:
        """How long the slowest request took that completed in the window so far."""
        kept = (stats.longest_ns for index, stats in self._seconds.items() if index >= 0)
        return max(self._longest_ns, *kept, 0)

    def _add(self, samples: Samples) -> None:
        """Count samples of the window."""
        self._add_lag(samples.intended, samples.starts)
        self._last_ns = max(self._last_ns, int(samples.ends.max()))
        self._in_system_ns += self._inside_ns(samples.starts, samples.ends)
        for (outcome, sent, received), count in samples.kinds.items():
            self._outcomes[outcome] += count
            self._sent += count * sent
            self._received += count * received
        self._begun_timeouts += samples.begun_timeouts()
        if self._traits.is_open:
            self._count_starts(samples.starts)
        self._add_seconds(samples)

    def _count_starts(self, starts: Durations) -> None:
        """Count in which seconds requests went out, however much later they ended."""
        ends_ns = int(starts.min()), int(starts.max())
        first, last = ((start_ns - self._opened_ns) // SECOND_NS for start_ns in ends_ns)
        counts = [len(starts)]
        if first != last:
            counts = np.bincount((starts - self._opened_ns) // SECOND_NS - first).tolist()
        for second, many in enumerate(counts, first):
            self._begun[second] += many

    def _add_seconds(self, samples: Samples) -> None:
        """Count samples in the seconds in which they ended."""
        # Requests of an open load are awaited after the window and count in its last second.
        inside = np.minimum(samples.ends, self._closes_ns)
        indices = np.maximum((inside - self._opened_ns - 1) // SECOND_NS, self._next)
        for index, ended in samples.groups(indices):
            if index not in self._seconds:
                self._seconds[index] = SecondStats(is_scheduled=self._traits.is_scheduled)
            self._seconds[index].add(ended)

    def _inside_ns(self, starts: Durations, ends: Durations | int) -> int:
        """Nanoseconds from starts to ends that lie in the window, summed."""
        inside = np.minimum(ends, self._closes_ns) - np.maximum(starts, self._opened_ns)
        return int(np.maximum(inside, 0).sum())
