"""The numbers of sequences, which go on from run to run of an application. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from control_plane.domain.request import SequenceValue, Value
from control_plane.domain.spec import RequestClass, Stream

MOST_PER_S = 200_000
"""More than one load worker can send in a second."""


@dataclass(frozen=True)
class UsedNumbers:
    """From the lowest to the highest number that the sequences of an application may have taken."""

    low: int
    high: int


@dataclass(frozen=True)
class ReservedNumbers:
    """What one trial may take: `most` numbers of each sequence of `streams`, which go on from
    `before`. `used`: what is used up by then. Both None: nothing is.
    """

    application: str
    streams: tuple[Stream, ...]
    before: UsedNumbers | None
    used: UsedNumbers | None

    def taken(self, numbers: int) -> UsedNumbers | None:
        """Return what is used up after `numbers` of each sequence were taken."""
        return _used(self.streams, numbers, self.before)


def reserved(
    application: str, streams: Sequence[Stream], before: UsedNumbers | None, most: int
) -> ReservedNumbers:
    """Return streams whose sequences begin past `before`, and what `most` of each use up.

    Sequences that rise go on above it, those that fall below; all of one kind by the same distance,
    as far as their steps allow. Streams with sequences take turns, so that none has a number of
    another. Sequences that repeat, and those without a step, stay.
    """
    going_on = [value for stream in streams for value in _sequences(stream)]
    rise = fall = 0
    if before is not None:
        rise = before.high + 1 - min((v.start for v in going_on if v.step > 0), default=0)
        fall = max((v.start for v in going_on if v.step < 0), default=0) - (before.low - 1)
    sharing = [index for index, stream in enumerate(streams) if [*_sequences(stream)]]

    def continued(turn: int, value: SequenceValue) -> SequenceValue:
        steps = -(-max(0, rise if value.step > 0 else fall) // abs(value.step))
        start = value.start + value.step * (steps + turn)
        return replace(value, start=start, step=value.step * len(sharing))

    made = tuple(
        _changed(stream, partial(continued, sharing.index(index))) if index in sharing else stream
        for index, stream in enumerate(streams)
    )
    return ReservedNumbers(application, made, before, _used(made, most, before))


def most_numbers(streams: Sequence[Stream], before_s: float, after_s: float, workers: int) -> int:
    """Return more numbers than a stream can take.

    `before_s` is the warm-up, `after_s` how long what began may last; `workers` send each stream.
    """
    times = (
        before_s + stream.load.ramp_up_s + (stream.stop.duration_s or 0) + after_s
        for stream in streams
    )
    requests = max(stream.stop.requests or 0 for stream in streams)
    return requests + round(max(times) * MOST_PER_S * workers)


def _goes_on(value: Value) -> bool:
    return isinstance(value, SequenceValue) and not value.repeat and value.step != 0


def _sequences(stream: Stream) -> Iterator[SequenceValue]:
    for request in stream.requests:
        for value in request.values.values():
            if isinstance(value, SequenceValue) and _goes_on(value):
                yield value


def _changed(stream: Stream, change: Callable[[SequenceValue], SequenceValue]) -> Stream:
    def with_values(request: RequestClass) -> RequestClass:
        values = {
            name: change(value) if isinstance(value, SequenceValue) and _goes_on(value) else value
            for name, value in request.values.items()
        }
        return replace(request, values=values)

    return replace(stream, requests=tuple(map(with_values, stream.requests)))


def _used(
    streams: Sequence[Stream], numbers: int, before: UsedNumbers | None
) -> UsedNumbers | None:
    """Return `before` with the first and the last of `numbers` of each sequence."""
    ends = [before.low, before.high] if before else []
    for value in (value for stream in streams for value in _sequences(stream) if numbers):
        ends += [value.start, value.start + value.step * (numbers - 1)]
    return UsedNumbers(min(ends), max(ends)) if ends else None
