"""Where a stalled event loop stood, over all stacks of a run."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from control_plane.analysis.causes.calls import calls_in
from control_plane.domain.frame import Frame, frames, telling
from control_plane.domain.result import Stall


@dataclass(frozen=True)
class Hold:
    """Where most stacks stand: `count` of `of`; `where` None when they have no place in common."""

    where: str | None
    count: int
    of: int


def hold(stalls: Sequence[Stall], source: Mapping[str, str]) -> Hold:
    """The line in which at least half of the stacks stand, else the function.

    Computing stands in another line each time, so that only its function is the same.
    """
    lines: Counter[Frame] = Counter()
    functions: Counter[str] = Counter()
    inner: dict[Frame, set[str]] = defaultdict(set)
    for one in stalls:
        if (frame := telling(one.stack)) is not None:
            lines[frame] += one.there if one.samples else 1
            functions[frame.around] += one.alike if one.samples else 1
            inner[frame].add(_called_by(frame, one.stack))
    sampled = sum(one.samples or 1 for one in stalls)
    if not lines:
        return Hold(None, 0, 0)
    (line, count), (function, around) = lines.most_common(1)[0], functions.most_common(1)[0]
    if 2 * count >= sampled:
        where = _called(line, source.get(line.key), inner[line])
        return Hold(where, count if where != function else around, sampled)
    return Hold(function, around, sampled) if 2 * around >= sampled else Hold(None, 0, sampled)


def _called_by(frame: Frame, stack: Sequence[str]) -> str:
    """The function that runs there; empty where it has no frame, as one that is written in C."""
    known = frames(stack)
    place = known.index(frame)
    return known[place - 1].function if place else ""


def _called(frame: Frame, source: str | None, inner: set[str]) -> str:
    """`movies.py, line 38: time.sleep`, where it is clear what was called there.

    A line without a call is one of many that computed.
    """
    calls = None if source is None else calls_in(source)
    if calls is None:
        return frame.short
    if not calls:
        return frame.around
    running = calls if len(calls) == 1 else [one for one in calls if {_last(one)} == inner]
    if len(running) != 1 or not running[0]:
        return frame.short
    return f"{frame.name}, line {frame.line}: {running[0]}"


def _last(call: str) -> str:
    return call.rpartition(".")[2]
