"""Where a stalled event loop stood, over all stacks of a run."""

import keyword
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

from control_plane.domain.result import Gauges, Stall
from control_plane.domain.stack_frames import Frame, frames, telling, waits

_DEFINES = {"def", "class"}
_SKIPPED = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT}


def calls_in(line: str) -> list[str] | None:
    """`json.dumps`, in order; empty text for a call of what has no name. Strings do not count.

    None for what cannot be read, such as the middle of a string.
    """
    tokens = list(_tokens(line.strip() + "\n"))
    if any(one.type == tokenize.ERRORTOKEN for one in tokens):
        return None
    return list(_calls([one.string for one in tokens if one.type not in _SKIPPED]))


def _tokens(line: str) -> Iterator[tokenize.TokenInfo]:
    """A bracket or string that goes on in the next line ends them."""
    try:
        yield from tokenize.generate_tokens(StringIO(line).readline)
    except (tokenize.TokenError, IndentationError):
        return


def _calls(words: list[str]) -> Iterator[str]:
    for at, word in enumerate(words):
        if word != "(" or not at:
            continue
        before = words[at - 1]
        if before in {")", "]"}:
            yield ""
        elif _is_name(before) and not (at > 1 and words[at - 2] in _DEFINES):
            yield _dotted(words[:at])


def _dotted(words: list[str]) -> str:
    """`a.b` at the end of the words; of `f().b` only `b`."""
    name = words[-1]
    at = len(words) - 2
    while at > 0 and words[at] == "." and _is_name(words[at - 1]):
        name = f"{words[at - 1]}.{name}"
        at -= 2
    return name


def _is_name(word: str) -> bool:
    return word.isidentifier() and not keyword.iskeyword(word)


@dataclass(frozen=True)
class StallLocation:
    """Where most stacks stand: `count` of `of`; `where` None when they have no place in common."""

    where: str | None
    count: int
    of: int


def stall_location(stalls: Sequence[Stall], source: Mapping[str, str]) -> StallLocation:
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
        return StallLocation(None, 0, 0)
    (line, count), (function, around) = lines.most_common(1)[0], functions.most_common(1)[0]
    if 2 * count >= sampled:
        where = _called(line, source.get(line.key), inner[line])
        return StallLocation(where, count if where != function else around, sampled)
    return (
        StallLocation(function, around, sampled)
        if 2 * around >= sampled
        else StallLocation(None, 0, sampled)
    )


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
