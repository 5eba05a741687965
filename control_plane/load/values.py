"""Generated values: what stands in for a placeholder. All of them come from one random source."""

import uuid
from collections.abc import Callable
from itertools import count
from random import Random
from string import ascii_lowercase

from control_plane.domain.spec import (
    ChoiceValue,
    IntegerValue,
    SequenceValue,
    StringValue,
    UuidValue,
    Value,
)

Draw = Callable[[], str]


def draw(value: Value, random: Random) -> Draw:
    """A function that yields the next value as text, not yet encoded for its place."""
    match value:
        case IntegerValue():
            return _integer(value.low, value.high, random)
        case SequenceValue():
            numbers = count(value.start, value.step)
            return lambda: str(next(numbers))
        case ChoiceValue():
            choices = [str(one) for one in value.of]
            return lambda: random.choice(choices)
        case StringValue():
            return lambda: letters(value.length, random)
        case UuidValue():
            return lambda: str(uuid.UUID(int=random.getrandbits(128), version=4))


def letters(length: int, random: Random) -> str:
    """Random lowercase letters."""
    return "".join(random.choices(ascii_lowercase, k=length))


def _integer(low: int, high: int, random: Random) -> Draw:
    """A float has 53 random bits, so ranges below 2^32 stay uniform to one part in a million."""
    span = high - low + 1
    if span >= 2**32:
        return lambda: str(random.randint(low, high))
    uniform = random.random
    return lambda: str(low + int(uniform() * span))
