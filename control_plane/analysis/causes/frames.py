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
_DISPATCH = re.compile(r"(?:^|/)(?:fastapi|starlette)/(?:applications|middleware/|routing)")
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
    def name(self) -> str:
        """`movies.py`; of a library with its folder, because names like `api.py` are many."""
        return "/".join(PurePath(self.file).parts[-1 if self.application else -2 :])

    @property
    def short(self) -> str:
        """`movies.py, line 38, in look_up`."""
        return f"{self.name}, line {self.line}{self._inside}"

    @property
    def around(self) -> str:
        """`movies.py, in look_up`."""
        return f"{self.name}{self._inside}"

    @property
    def _inside(self) -> str:
        return f", in {self.function}" if self.function else ""


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
    """The innermost frame of the application; the innermost of all where there is none.

    Code of the application outside of the framework, such as a middleware, called the framework and
    not what took the time: then it is the innermost of all as well.
    """
    known = frames(stack)
    for frame in known:
        if frame.application:
            return frame
        if _DISPATCH.search(frame.file):
            break
    return known[0] if known else None


def waits(stack: Sequence[str]) -> bool:
    """Whether the loop itself was on top: it waited for events, or for a processor."""
    known = frames(stack)
    return bool(known) and not known[0].application and known[0].function in _WAITING


def hold(stalls: Sequence[Stall], source: Mapping[str, str]) -> Hold:
    """The line in which at least half of the stacks stand, else the function.

    Computing stands in another line each time, so that only its function is the same.
    """
    lines: Counter[Frame] = Counter()
    functions: Counter[str] = Counter()
    for one in stalls:
        if (frame := telling(one.stack)) is not None:
            lines[frame] += one.alike or 1
            functions[frame.around] += one.alike or 1
    sampled = sum(one.samples or 1 for one in stalls)
    if not lines:
        return Hold(None, 0, 0)
    (line, count), (function, around) = lines.most_common(1)[0], functions.most_common(1)[0]
    if 2 * count >= sampled:
        where = _called(line, source.get(line.key))
        return Hold(where, count if where != function else around, sampled)
    return Hold(function, around, sampled) if 2 * around >= sampled else Hold(None, 0, sampled)


def _called(frame: Frame, source: str | None) -> str:
    """`movies.py, line 38: time.sleep`, from the first call in the source line.

    A line without a call is one of many that computed.
    """
    if source is None:
        return frame.short
    calls = [name for name in _CALL.findall(source) if name not in _KEYWORDS]
    return f"{frame.name}, line {frame.line}: {calls[0]}" if calls else frame.around
