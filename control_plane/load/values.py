"""Generated values: what stands in for a placeholder.

A value depends on nothing but its seed and the number of the request, so requests are the same
whatever order threads draw them in, and drawing needs no lock.
"""

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
from control_plane.load.share import WHOLE, Share

Draw = Callable[[int], str]
"""From the number of the request to the value as text, not yet encoded for its place."""

_GAMMA = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def bits(seed: int, number: int) -> int:
    """64 random bits: the output `number` of SplitMix64 (Steele, Lea and Flood, 2014)."""
    mixed = seed + (number + 1) * _GAMMA & _MASK
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _MASK
    return mixed ^ mixed >> 31


def draw(value: Value, seed: int, share: Share = WHOLE) -> Draw:
    match value:
        case IntegerValue(low=low, high=high):
            span = high - low + 1
            return lambda number: str(low + (bits(seed, number) * span >> 64))
        case SequenceValue():
            # Counted by itself: other request classes take numbers too.
            numbers = count(value.start + value.step * share.first, value.step * share.of)
            return lambda _: str(next(numbers))
        case ChoiceValue():
            choices = [str(one) for one in value.of]
            return lambda number: choices[bits(seed, number) * len(choices) >> 64]
        case StringValue(length=length):
            return lambda number: letters(length, Random(bits(seed, number)))
        case UuidValue():
            return lambda number: _uuid(bits(seed, 2 * number) << 64 | bits(seed, 2 * number + 1))


def letters(length: int, random: Random) -> str:
    """Random lowercase letters."""
    return "".join(random.choices(ascii_lowercase, k=length))


def _uuid(random_bits: int) -> str:
    return str(uuid.UUID(int=random_bits, version=4))
