"""The stalls of a run by what the event loop did meanwhile: equal stacks together."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.domain.frame import Frame, frames, telling, waits
from control_plane.domain.result import Gauges, Stall

Seen = tuple[int, Stall]


@dataclass(frozen=True)
class StackGroup:
    """`share` is that of the time of all stalls. `place` None: no stack was sampled.

    `trial` (from 1) and `at_s` say when the longest began; `begins` hold them for each, in order.
    """

    place: Frame | None
    frames: tuple[Frame, ...]
    waited: bool
    count: int
    total_s: float
    longest_s: float
    trial: int
    at_s: float
    share: float
    begins: tuple[tuple[int, float], ...]


def stack_groups(gauges: Sequence[Gauges]) -> tuple[StackGroup, ...]:
    """Over all trials and workers, the largest total first."""
    by_stack: dict[tuple[str, ...], list[Seen]] = defaultdict(list)
    for trial, one in enumerate(gauges, start=1):
        for stall in one.stalls:
            by_stack[stall.stack].append((trial, stall))
    everything_s = sum(stall.duration_s for one in gauges for stall in one.stalls)
    groups = [_group(stack, seen, everything_s) for stack, seen in by_stack.items()]
    return tuple(sorted(groups, key=lambda one: -one.total_s))


def _group(stack: tuple[str, ...], seen: list[Seen], everything_s: float) -> StackGroup:
    total_s = sum(stall.duration_s for _, stall in seen)
    trial, longest = max(seen, key=lambda one: one[1].duration_s)
    return StackGroup(
        place=telling(stack),
        frames=frames(stack),
        waited=waits(stack),
        count=len(seen),
        total_s=total_s,
        longest_s=longest.duration_s,
        trial=trial,
        at_s=longest.at_s,
        share=total_s / everything_s if everything_s else 0.0,
        begins=tuple(sorted((trial, stall.at_s) for trial, stall in seen)),
    )
