"""The stalls of a run by what the event loop did meanwhile: equal stacks together."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.analysis.causes.frames import Frame, frames, telling, waits
from control_plane.domain.result import Gauges


@dataclass(frozen=True)
class StackGroup:
    """`share` is that of the time of all stalls. `place` None: no stack was sampled."""

    place: Frame | None
    frames: tuple[Frame, ...]
    waited: bool
    count: int
    total_s: float
    longest_s: float
    share: float


def stack_groups(gauges: Sequence[Gauges]) -> tuple[StackGroup, ...]:
    """Over all trials and workers, the largest total first."""
    by_stack: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for trial in gauges:
        for stall in trial.stalls:
            by_stack[stall.stack].append(stall.duration_s)
    everything_s = sum(map(sum, by_stack.values()))
    groups = [_group(stack, lasted, everything_s) for stack, lasted in by_stack.items()]
    return tuple(sorted(groups, key=lambda one: -one.total_s))


def _group(stack: tuple[str, ...], lasted_s: list[float], everything_s: float) -> StackGroup:
    total_s = sum(lasted_s)
    return StackGroup(
        place=telling(stack),
        frames=frames(stack),
        waited=waits(stack),
        count=len(lasted_s),
        total_s=total_s,
        longest_s=max(lasted_s),
        share=total_s / everything_s if everything_s else 0.0,
    )
