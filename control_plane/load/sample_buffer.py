"""Samples as they come: taken in at a cost that the measurement does not feel, handed over in bulk.

While load runs a sample is four entries at the end of a list, or five at the end of another where
its answer came in pieces. Users never wait for a lock: with hundreds of threads one that is
interrupted while it holds a lock stops all others for long. Extending a list, slicing it and
cutting off its head are single steps of the interpreter.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from control_plane.load.outcome import ERROR_MASK, Outcome, is_answered, timeouts_among
from control_plane.load.worker_protocol import LoadTraits

Durations = NDArray[np.int64]
Mask = NDArray[np.bool_]

_FIELDS = 4
"""A sample is so many entries of a list: intended start, actual start, end, how it ended."""
_HEARD_FIELDS = _FIELDS + 1
"""Where the first byte of the answer came before its end, that follows."""

_FULL = 4_096
_IDLE_NS = 0

NOT_HEARD_NS = 0
"""The first byte of an answer of which none came, or that came whole in one piece."""


@dataclass(frozen=True)
class Samples:
    """Requests that ended, many at once: nanoseconds, each of shape (n,), and as many `ended`.

    `intended` are the `starts` themselves where nobody knew before when a request starts.
    `first_bytes` None: each answer that came began in the moment in which it ended.
    """

    intended: Durations
    starts: Durations
    ends: Durations
    ended: list[Outcome]
    first_bytes: Durations | None = None

    @staticmethod
    def first(count: int, entries: list[Any], fields: int, *, planned: bool) -> "Samples":
        """Return the first `count` of `entries`, so many `fields` each.

        `planned`: their intended starts are their own.
        """
        intended, starts, ends, ended, *heard = (
            entries[place : fields * count : fields] for place in range(fields)
        )
        starts_ns = np.fromiter(starts, np.int64, count)
        return Samples(
            np.fromiter(intended, np.int64, count) if planned else starts_ns,
            starts_ns,
            np.fromiter(ends, np.int64, count),
            ended,
            np.fromiter(heard[0], np.int64, count) if heard else None,
        )

    def with_others(self, others: "Samples") -> "Samples":
        """Return these samples and others."""
        if not len(others):
            return self
        both = (self, others)
        starts = np.concatenate([samples.starts for samples in both])
        planned = any(samples.intended is not samples.starts for samples in both)
        return Samples(
            np.concatenate([samples.intended for samples in both]) if planned else starts,
            starts,
            np.concatenate([samples.ends for samples in both]),
            self.ended + others.ended,
            np.concatenate([samples.heard_ns for samples in both]),
        )

    @property
    def heard_ns(self) -> Durations:
        """The first byte of each answer, `NOT_HEARD_NS` where none came before the end."""
        return np.zeros_like(self.ends) if self.first_bytes is None else self.first_bytes

    def __len__(self) -> int:
        return len(self.ended)

    @cached_property
    def kinds(self) -> Mapping[Outcome, int]:
        """How many samples ended in each way."""
        if self.ended and self.ended.count(self.ended[0]) == len(self):
            return {self.ended[0]: len(self)}
        return Counter(self.ended)

    def where(self, chosen: Mask) -> "Samples":
        """Return the samples of a mask of shape (n,).

        Nothing is copied where that are all, as nearly always.
        """
        if chosen.all():
            return self
        starts = self.starts[chosen]
        planned = self.intended is not self.starts
        return Samples(
            self.intended[chosen] if planned else starts,
            starts,
            self.ends[chosen],
            list(compress(self.ended, chosen.tolist())),
            None if self.first_bytes is None else self.first_bytes[chosen],
        )

    def completed(self) -> "Samples":
        """Return the samples without an error."""
        return self if self._good is None else self.where(self._good)

    def completed_mask(self) -> Mask:
        """Return which samples have no error: shape (n,)."""
        return np.ones(len(self), np.bool_) if self._good is None else self._good

    @cached_property
    def _good(self) -> Mask | None:
        """Which samples completed; None for all."""
        good = {kind: not kind[0] & ERROR_MASK for kind in self.kinds}
        if all(good.values()):
            return None
        return np.fromiter(map(good.__getitem__, self.ended), np.bool_, len(self))

    @cached_property
    def began_with_end(self) -> bool:
        """Whether all completed, each in the moment in which its answer began."""
        return self.first_bytes is None and self._good is None

    def first_byte_times(self) -> Durations:
        """Return how long answers took to begin, of those that did: nanoseconds, at most (n,)."""
        if self.began_with_end:
            return self.ends - self.starts
        heard = self.heard_ns
        moments = np.where((heard == NOT_HEARD_NS) & self._answered(), self.ends, heard)
        began = moments != NOT_HEARD_NS
        times: Durations = np.maximum(moments[began] - self.starts[began], 0)
        return times

    def _answered(self) -> Mask | bool:
        """Which had a whole answer; True for all."""
        if self._good is None:
            return True
        answered = {kind: is_answered(kind) for kind in self.kinds}
        return np.fromiter(map(answered.__getitem__, self.ended), np.bool_, len(self))

    def begun_before(self, at_ns: int) -> Mask:
        """Return which answers had begun by a moment before all their ends: shape (n,)."""
        if self.first_bytes is None:
            return np.zeros(len(self), np.bool_)
        begun: Mask = (self.first_bytes != NOT_HEARD_NS) & (self.first_bytes <= at_ns)
        return begun

    def begun_timeouts(self) -> int:
        """Return how many answers began and had not ended at their deadline."""
        if self.first_bytes is None or not timeouts_among(self.kinds):
            return 0
        begun = compress(self.ended, (self.first_bytes != NOT_HEARD_NS).tolist())
        return timeouts_among(Counter(begun))

    def groups(self, keys: Durations) -> Iterator[tuple[int, "Samples"]]:
        """Yield each of the `keys`, shape (n,), with its samples, in ascending order."""
        if not len(self):
            return
        first, last = int(keys.min()), int(keys.max())
        if first == last:
            yield first, self
            return
        for key in np.unique(keys):
            yield int(key), self.where(keys == key)


Begin = Callable[[int, int, int], None]
"""`begin(user, intended_ns, start_ns)`: `user` starts a request; it has no other in flight."""

Hear = Callable[[int, int], None]
"""`hear(user, at_ns)`: the answer to `user` began, past interim responses, and is not whole.

`NOT_HEARD_NS` takes that back.
"""


class End(Protocol):
    """The request of `user` ended; `begun_ns` is the intended and the actual start of the next one,
    0 where none begins in the same moment.

    True where samples were counted, which takes a while: time has gone by since.
    """

    def __call__(self, user: int, end_ns: int, ended: Outcome, begun_ns: int = ..., /) -> bool: ...


class SampleBuffer:
    """Takes in the samples of all users. All times are nanoseconds of the monotonic clock.

    `begin` and `end` are called for each request, from any thread, and `hear` between them where an
    answer begins before it ends. `count` is given the samples that ended, by one thread at a time:
    whoever hands them over holds `lock`.
    """

    def __init__(self, traits: LoadTraits, count: Callable[[Samples], None]) -> None:
        self.lock = threading.Lock()
        self._count, self._planned = count, traits.is_planned
        self._entries, self._heard_entries = list[Any](), list[Any]()
        self._starts, self._intended = [_IDLE_NS] * traits.users, [_IDLE_NS] * traits.users
        self._heard: dict[int, int] = {}
        self.begin, self.hear, self.end = self._begin_of(), self._hear_of(), self._end_of(_FULL)

    def _begin_of(self) -> Begin:
        starts, intended = self._starts, self._intended

        def begin(user: int, intended_ns: int, start_ns: int) -> None:
            intended[user], starts[user] = intended_ns, start_ns

        return begin

    def _hear_of(self) -> Hear:
        starts, heard = self._starts, self._heard

        def hear(user: int, at_ns: int) -> None:
            # Bytes may come late, of a request that was given up.
            if at_ns == NOT_HEARD_NS:
                heard.pop(user, None)
            elif starts[user]:
                heard[user] = at_ns

        return hear

    def _end_of(self, full: int) -> End:
        starts, intended, heard = self._starts, self._intended, self._heard
        entries, heard_entries = self._entries, self._heard_entries
        put, put_heard, hand_over = (
            entries.extend,
            heard_entries.extend,
            self._hand_over_unless_locked,
        )
        most, most_heard = _FIELDS * full, _HEARD_FIELDS * full

        def end(user: int, end_ns: int, ended: Outcome, begun_ns: int = _IDLE_NS) -> bool:
            if heard and user in heard:
                heard_ns = heard.get(user, NOT_HEARD_NS)
                put_heard((intended[user], starts[user], end_ns, ended, heard_ns))
                starts[user] = intended[user] = begun_ns
                # Last: whoever looks at what is in flight meanwhile would miss it.
                heard.pop(user, None)
                return len(heard_entries) >= most_heard and hand_over()
            put((intended[user], starts[user], end_ns, ended))
            starts[user] = intended[user] = begun_ns
            return len(entries) >= most and hand_over()

        return end

    def _hand_over_unless_locked(self) -> bool:
        """Return whether samples were handed over; not so where another thread is at it."""
        if not self.lock.acquire(blocking=False):
            return False
        try:
            self.hand_over()
        finally:
            self.lock.release()
        return True

    def hand_over(self) -> Samples:
        """Hand over what ended since the last time, and return it; `lock` is held."""
        heard = self._taken(self._heard_entries, _HEARD_FIELDS)
        samples = self._taken(self._entries, _FIELDS).with_others(heard)
        if len(samples):
            self._count(samples)
        return samples

    def _taken(self, entries: list[Any], fields: int) -> Samples:
        count = len(entries) // fields
        samples = Samples.first(count, entries, fields, planned=self._planned)
        del entries[: fields * count]
        return samples

    def starts(self) -> dict[int, int]:
        """Return the actual start of each request in flight, by user."""
        starts = self._starts.copy()
        return {user: start_ns for user, start_ns in enumerate(starts) if start_ns != _IDLE_NS}

    def in_flight(self) -> tuple[Durations, Durations, Mask]:
        """Return intended and actual starts of the requests in flight, and which answers began.

        Shape (n,) each.
        """
        starts, intended, heard = self._starts.copy(), self._intended.copy(), self._heard.copy()
        while starts != self._starts:
            # Somebody came in between: they would not belong together.
            starts, intended, heard = self._starts.copy(), self._intended.copy(), self._heard.copy()
        heard_ns = [heard.get(user, NOT_HEARD_NS) for user in range(len(starts))]
        begun = np.array((intended if self._planned else starts, starts, heard_ns), np.int64)
        intended_ns, starts_ns, begun_ns = begun[:, begun[1] != _IDLE_NS]
        return intended_ns, starts_ns, begun_ns != NOT_HEARD_NS
