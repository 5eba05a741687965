"""Where a stalled event loop stood, over all stacks of a run."""

import keyword
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

from control_plane.domain.result import Gauges, Stall
from control_plane.domain.stack_frames import Frame, frames, loop_waited, telling_frame

_DEFINES = {"def", "class"}
_SKIPPED = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT}


def calls_in(line: str) -> list[str] | None:
    """Return the calls of a line in order: `json.dumps`, or empty text for what has no name.

    Strings do not count. None for what cannot be read, such as the middle of a string.
    """
    tokens = list(_tokens(line.strip() + "\n"))
    if any(token.type == tokenize.ERRORTOKEN for token in tokens):
        return None
    return list(_calls([token.string for token in tokens if token.type not in _SKIPPED]))


def _tokens(line: str) -> Iterator[tokenize.TokenInfo]:
    """Return the tokens up to a bracket or string that goes on in the next line."""
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
    """Return `a.b` at the end of the words; of `f().b` only `b`."""
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
    """The place in which `stacks_there` of all `stacks` end; None when they have none in common.

    `application`: it is in the application's own code.
    """

    place: str | None
    stacks_there: int
    stacks: int
    application: bool = False


def stall_location(stalls: Sequence[Stall], source: Mapping[str, str]) -> StallLocation:
    """Return the line in which at least half of the stacks end, else the function.

    Computing stands in another line each time, so that only its function is the same.
    """
    lines: Counter[Frame] = Counter()
    functions: Counter[str] = Counter()
    inner: dict[Frame, set[str]] = defaultdict(set)
    for stall in stalls:
        if (frame := telling_frame(stall.stack)) is not None:
            lines[frame] += stall.there if stall.samples else 1
            functions[frame.around] += stall.alike if stall.samples else 1
            inner[frame].add(_called_by(frame, stall.stack))
    sampled = sum(stall.samples or 1 for stall in stalls)
    if not lines:
        return StallLocation(None, 0, 0)
    (line, count), (function, around) = lines.most_common(1)[0], functions.most_common(1)[0]
    own = any(frame.application for frame in lines if frame.around == function)
    if 2 * count >= sampled:
        place = _called(line, source.get(line.key), inner[line])
        there = count if place != function else around
        return StallLocation(place, there, sampled, line.application)
    if 2 * around >= sampled:
        return StallLocation(function, around, sampled, own)
    return StallLocation(None, 0, sampled)


def _called_by(frame: Frame, stack: Sequence[str]) -> str:
    """Return the function that runs there; empty where it has no frame, as one written in C."""
    known = frames(stack)
    place = known.index(frame)
    return known[place - 1].function if place else ""


def _called(frame: Frame, source: str | None, inner: set[str]) -> str:
    """Return `movies.py, line 38: time.sleep` where it is clear what was called there.

    A line without a call is one of many that computed.
    """
    calls = None if source is None else calls_in(source)
    if calls is None:
        return frame.short
    if not calls:
        return frame.around
    running = (
        calls if len(calls) == 1 else [call for call in calls if {call.rpartition(".")[2]} == inner]
    )
    if len(running) != 1 or not running[0]:
        return frame.short
    return f"{frame.name}, line {frame.line}: {running[0]}"


TrialStall = tuple[int, Stall]


@dataclass(frozen=True)
class StackGroup:
    """The stalls of one stack. `share` is that of the time of all stalls; `place` None: no stack
    was sampled.

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
    """Return the stalls of all trials and workers by their stack, the largest total first."""
    by_stack: dict[tuple[str, ...], list[TrialStall]] = defaultdict(list)
    for trial, trial_gauges in enumerate(gauges, start=1):
        for stall in trial_gauges.stalls:
            by_stack[stall.stack].append((trial, stall))
    everything_s = sum(stall.duration_s for each in gauges for stall in each.stalls)
    groups = [_group(stack, seen, everything_s) for stack, seen in by_stack.items()]
    return tuple(sorted(groups, key=lambda group: -group.total_s))


def _group(stack: tuple[str, ...], seen: list[TrialStall], everything_s: float) -> StackGroup:
    total_s = sum(stall.duration_s for _, stall in seen)
    trial, longest = max(seen, key=lambda pair: pair[1].duration_s)
    return StackGroup(
        place=telling_frame(stack),
        frames=frames(stack),
        waited=loop_waited(stack),
        count=len(seen),
        total_s=total_s,
        longest_s=longest.duration_s,
        trial=trial,
        at_s=longest.at_s,
        share=total_s / everything_s if everything_s else 0.0,
        begins=tuple(sorted((trial, stall.at_s) for trial, stall in seen)),
    )
