"""Round ticks and places, in per cent, on the scales of graphics that the server draws."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tick:
    """`at` is the place in per cent from the left."""

    at: float
    text: str


def place(value: float, low: float, high: float) -> float:
    """In per cent of the scale from `low` to `high`; values outside stand at its ends."""
    if high <= low:
        return 50.0
    return round(100 * min(1.0, max(0.0, (value - low) / (high - low))), 2)


def round_steps(low: float, high: float, about: int = 5) -> list[float]:
    """Round values inside the range, `about` as many of them; `high` above `low`."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(one * power for one in (1, 2, 5, 10) if one * power >= 0.999 * rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(f"{step * number:.6g}") for number in range(first, last + 1)]


def around(values: Sequence[float], least: float = 0.05) -> tuple[float, float]:
    """A range with room at both sides, at least `least` of the middle away from it."""
    low, high = min(values), max(values)
    middle = (low + high) / 2
    room = max(0.75 * (high - low), least * middle)
    return max(0.0, middle - room), middle + room
