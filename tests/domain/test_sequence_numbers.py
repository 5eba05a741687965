"""Sequences go on past what was used, and none takes a number of another."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain.limits import Limits
from control_plane.domain.request import SequenceValue
from control_plane.domain.sequence_numbers import UsedNumbers, most_numbers, reserved
from control_plane.domain.spec import Stream
from control_plane.domain.spec_json import read_spec

MOST = 1_000


def streams_of(*values: dict[str, Any]) -> tuple[Stream, ...]:
    """One stream for each sequence."""
    streams = [
        {
            "name": f"stream {index}",
            "requests": [{"path": "/{n}", "values": {"n": {"kind": "sequence", **value}}}],
            "load": {"model": "closed", "concurrency": 1},
            "stop": {"requests": 10},
        }
        for index, value in enumerate(values)
    ]
    return read_spec({"workload": {"streams": streams}}, Limits()).workload.streams


def drawn(streams: tuple[Stream, ...], count: int) -> list[int]:
    sequences = [stream.requests[0].values["n"] for stream in streams]
    return [
        value.start + value.step * number
        for value in sequences
        if isinstance(value, SequenceValue)
        for number in range(count)
    ]


SEQUENCE = st.fixed_dictionaries(
    {"start": st.integers(-50, 50), "step": st.integers(-7, 7).filter(bool)}
)


@given(st.lists(st.tuples(SEQUENCE, st.integers(0, 30), st.booleans()), min_size=1, max_size=6))
def test_no_number_comes_twice(runs: list[tuple[dict[str, int], int, bool]]) -> None:
    """Whatever the sequences of the runs are; a process that died took all that it reserved."""
    used, seen = None, []
    for value, count, died in runs:
        numbers = reserved("shop", streams_of(value), used, MOST)
        seen += drawn(numbers.streams, count)
        used = numbers.used if died else numbers.taken(count)
    assert len(seen) == len(set(seen))


@given(SEQUENCE, st.integers(1, 5), st.integers(1, 20))
def test_streams_take_turns(value: dict[str, int], streams: int, count: int) -> None:
    same = streams_of(*([value] * streams))
    seen, used = [], None
    for _ in range(3):
        numbers = reserved("shop", same, used, MOST)
        seen += drawn(numbers.streams, count)
        used = numbers.taken(count)
    assert len(seen) == len(set(seen)) == 3 * streams * count


def test_the_first_run_begins_at_the_start_and_the_next_goes_on() -> None:
    numbers = reserved("shop", streams_of({"start": 5, "step": 2}), None, MOST)
    assert drawn(numbers.streams, 3) == [5, 7, 9]
    assert numbers.taken(3) == UsedNumbers(5, 9)
    again = reserved("shop", streams_of({"start": 5, "step": 2}), numbers.taken(3), MOST)
    assert drawn(again.streams, 3) == [11, 13, 15]
    assert again.taken(0) == UsedNumbers(5, 9)


@pytest.mark.parametrize("value", [{"repeat": True}, {"step": 0}])
def test_what_repeats_stays(value: dict[str, Any]) -> None:
    streams = streams_of({"start": 3, **value})
    numbers = reserved("shop", streams, UsedNumbers(0, 100), MOST)
    assert numbers.streams == streams
    assert numbers.used == UsedNumbers(0, 100)
    assert reserved("shop", streams, None, MOST).used is None


def test_more_than_can_be_sent_is_reserved() -> None:
    streams = streams_of({"start": 0})
    assert most_numbers(streams, before_s=0, after_s=0, workers=1) == 10
    assert most_numbers(streams, before_s=1, after_s=2, workers=2) == 10 + 3 * 2 * 200_000
