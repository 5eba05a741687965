"""What the sentences of all gates share."""

from collections.abc import Sequence
from typing import Literal

from control_plane.domain.result import Trial
from control_plane.domain.units import SPACE

ERRORS_SUSPECT = 0.001

Level = Literal["ok", "suspect", "invalid"]


def percent(limit: float) -> str:
    """A round share without trailing zeros: `0.1 %`."""
    return f"{100 * limit:g}{SPACE}%"


def trial_suffix(trial: Trial, trials: Sequence[Trial]) -> str:
    """Names the trial by its place, from 1, where there are several."""
    place = next(index for index, one in enumerate(trials, start=1) if one is trial)
    return f" in trial {place}" if len(trials) > 1 else ""
