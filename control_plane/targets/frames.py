"""The stacks that faulthandler writes, read: `file:line function`, innermost first."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from control_plane.domain.frame import Frame, telling

Stack = tuple[str, ...]

DEPTH = 32
"""Innermost frames that are kept; those further out belong to the server and its event loop."""
_HEAD = b"Stack (most recent call first):"
_FRAME = re.compile(rb'  File "(.*)", line (\d+|\?\?\?) in (.*)')
_ABOVE_LIBRARY = re.compile(r".*/(?=(?:site-packages|dist-packages|lib/python3\.\d+)/)")
_PROBE = "/looplab_probe/"
_THREAD_BEGINS = " _bootstrap"


def stacks_in(written: bytes, directory: Path) -> Iterator[Stack]:
    """Those that are complete. Paths begin below `directory`, or with the folder of libraries, by
    which they can be told from the application.

    A stack that begins where threads of a pool do is not the loop's: the signal went astray.
    """
    for part in written.split(_HEAD)[1:]:
        lines = part.strip(b"\0\n").split(b"\n")
        frames = [_FRAME.fullmatch(line) for line in lines if line != b"  ..."]
        if not frames or not all(frames):
            continue
        stack = tuple(_shown(found, directory) for found in frames if found)
        own = tuple(frame for frame in stack if _PROBE not in frame)
        if own and not own[-1].endswith(_THREAD_BEGINS):
            yield own[:DEPTH]


@dataclass(frozen=True)
class Common:
    """Of `samples` stacks `alike` stand in the function that `stack` shows, `there` in its line."""

    stack: Stack = ()
    samples: int = 0
    alike: int = 0
    there: int = 0


def commonest(stacks: Iterable[Stack]) -> Common:
    """A stack of the commonest line of the commonest function, as the application names them."""
    counted = Counter(stacks)
    lines: Counter[Frame] = Counter()
    functions: Counter[str] = Counter()
    told = {stack: frame for stack in counted if (frame := telling(stack)) is not None}
    for stack, frame in told.items():
        lines[frame] += counted[stack]
        functions[_function(frame)] += counted[stack]
    if not told:
        return Common()
    ((function, alike),) = functions.most_common(1)
    line, there = max(
        ((one, count) for one, count in lines.items() if _function(one) == function),
        key=lambda one: one[1],
    )
    stack = max((one for one, frame in told.items() if frame == line), key=counted.__getitem__)
    return Common(stack, counted.total(), alike, there)


def _shown(found: re.Match[bytes], directory: Path) -> str:
    file, line, function = (group.decode("ascii", "replace") for group in found.groups())
    return f"{_shortened(file, directory)}:{line} {function}"


@lru_cache(maxsize=2_000)
def _shortened(file: str, directory: Path) -> str:
    if _PROBE in file:
        return file
    short = _ABOVE_LIBRARY.sub("", file)
    return short if short != file else file.removeprefix(f"{directory}/")


def _function(frame: Frame) -> str:
    return f"{frame.file} {frame.function}"
