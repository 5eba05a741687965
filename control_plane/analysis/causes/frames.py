"""Where a stalled event loop stood: the frame that helps, out of a stack of forty.

Frames are `file:line function`, innermost first. Files lie below the folder of the application, or
begin with that of libraries.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from control_plane.domain.result import Stall

_FRAME = re.compile(r"(?P<file>.+):(?P<line>\d+)(?: (?P<function>.+))?")
_CALL = re.compile(r"([A-Za-z_][\w.]*)\s*\(")
_LIBRARY = re.compile(r"(?:^|/)(?:(?:site|dist)-packages|lib/python3[.\d]*)/|^<|/looplab_probe/")
_BUNDLED = re.compile(r"(?:^|/)target_app/")
_WAITING = {"select", "run_forever", "run_until_complete", "run", "_run_once"}
_KEYWORDS = {"if", "elif", "while", "return", "await", "not", "and", "or", "in", "for", "with"}


@dataclass(frozen=True)
class Frame:
    """One line of a stack. `function` may be empty."""

    file: str
    line: int
    function: str

    @property
    def key(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def application(self) -> bool:
        """Code of the application, not of a library, of Python or of the probe."""
        return bool(_BUNDLED.search(self.file)) or not _LIBRARY.search(self.file)

    @property
    def short(self) -> str:
        """`movies.py, line 38, in look_up`."""
        inside = f", in {self.function}" if self.function else ""
        return f"{PurePath(self.file).name}, line {self.line}{inside}"


@dataclass(frozen=True)
class Hold:
    """Where most stacks stand: `count` of `of`; `where` None when they have no place in common."""

    where: str | None
    count: int
    of: int


def frames(stack: Sequence[str]) -> tuple[Frame, ...]:
    """What does not look like a frame is left out."""
    found = (_FRAME.fullmatch(text.strip()) for text in stack)
    return tuple(
        Frame(one["file"], int(one["line"]), (one["function"] or "").strip())
        for one in found
        if one
    )


def telling(stack: Sequence[str]) -> Frame | None:
    """The innermost frame of the application; without one, the innermost of all."""
    known = frames(stack)
    return next((one for one in known if one.application), known[0] if known else None)


def waits(stack: Sequence[str]) -> bool:
    """Whether the loop itself was on top: it waited for events, or for a processor."""
    known = frames(stack)
    return bool(known) and not known[0].application and known[0].function in _WAITING


def hold(stalls: Sequence[Stall], source: Mapping[str, str]) -> Hold:
    """The line in which at least half of the stacks stand, else the function.

    Computing stands in another line each time, so that only its function is the same.
    """
    places = [frame for one in stalls if (frame := telling(one.stack)) is not None]
    if not places:
        return Hold(None, 0, 0)
    line, count = Counter(places).most_common(1)[0]
    if 2 * count >= len(places):
        return Hold(_called(line, source.get(line.key, "")), count, len(places))
    functions = Counter((one.file, one.function) for one in places if one.function)
    (file, function), count = functions.most_common(1)[0] if functions else (("", ""), 0)
    if 2 * count >= len(places):
        return Hold(f"{PurePath(file).name}, in {function}", count, len(places))
    return Hold(None, 0, len(places))


def _called(frame: Frame, source: str) -> str:
    """`movies.py, line 38: time.sleep`, from the first call in the source line."""
    calls = [name for name in _CALL.findall(source) if name not in _KEYWORDS]
    if not calls:
        return frame.short
    return f"{PurePath(frame.file).name}, line {frame.line}: {calls[0]}"
