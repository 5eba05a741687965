"""The stacks that faulthandler writes, read: `file:line function`, innermost first."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

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


def commonest(stacks: Iterable[Stack]) -> tuple[Stack, int, int]:
    """Where most of them end: the commonest that ends there, how many do, and of how many.

    A place is a function of a file. Without stacks the empty one.
    """
    counted = Counter(stacks)
    ends: Counter[str] = Counter()
    for stack, count in counted.items():
        ends[_function(stack)] += count
    if not ends:
        return (), 0, 0
    ((end, alike),) = ends.most_common(1)
    there = Counter({stack: n for stack, n in counted.items() if _function(stack) == end})
    return there.most_common(1)[0][0], alike, counted.total()


def _shown(found: re.Match[bytes], directory: Path) -> str:
    file, line, function = (group.decode("ascii", "replace") for group in found.groups())
    return f"{_shortened(file, directory)}:{line} {function}"


@lru_cache(maxsize=2_000)
def _shortened(file: str, directory: Path) -> str:
    if _PROBE in file:
        return file
    short = _ABOVE_LIBRARY.sub("", file)
    return short if short != file else file.removeprefix(f"{directory}/")


def _function(stack: Stack) -> str:
    """The innermost frame without its line."""
    place, _, function = stack[0].partition(" ")
    return f"{place.rpartition(':')[0]} {function}"
