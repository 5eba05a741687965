"""One line of a stack, written `file:line function`; stacks are innermost first.

Files lie below the folder of the application, or begin with that of libraries.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

_FRAME = re.compile(r"(?P<file>.+):(?P<line>\d+)(?: (?P<function>.+))?")
_LIBRARY = re.compile(r"(?:^|/)(?:(?:site|dist)-packages|lib/python3[.\d]*)/|^<|/looplab_probe/")
_BUNDLED = re.compile(r"(?:^|/)target_app/")
_DISPATCH = re.compile(r"(?:^|/)(?:fastapi|starlette)/(?:applications|middleware/|routing)")
_WAITING = {"select", "run_forever", "run_until_complete", "run", "_run_once"}


@dataclass(frozen=True)
class Frame:
    """`function` may be empty."""

    file: str
    line: int
    function: str

    @property
    def key(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def written(self) -> str:
        return f"{self.key} {self.function}".rstrip()

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
