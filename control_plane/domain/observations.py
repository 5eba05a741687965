"""What is seen of processes while they work: gauges by time, and stacks of event loops.

A frame of a stack is written `file:line function`, stacks are innermost first. Files lie below the
folder of the application, or begin with that of libraries.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePath
from typing import Literal

_FRAME = re.compile(r"(?P<file>.+):(?P<line>\d+)(?: (?P<function>.+))?")
_LIBRARY = re.compile(r"(?:^|/)(?:(?:site|dist)-packages|lib/python3[.\d]*)/|^<|/looplab_probe/")
_BUNDLED = re.compile(r"(?:^|/)target_app/")
_DISPATCH = re.compile(r"(?:^|/)(?:fastapi|starlette)/(?:applications|middleware/|routing)")
_GRANIAN_WAITS = re.compile(r"granian/server/\w+\.py:\d+ _spawn_\w+_worker$")
_WAITING = {"select", "run_forever", "run_until_complete", "run", "_run_once"}


@dataclass(frozen=True)
class Frame:
    """One frame of a stack; `function` may be empty."""

    file: str
    line: int
    function: str

    @property
    def key(self) -> str:
        """File and line, with a colon between."""
        return f"{self.file}:{self.line}"

    @property
    def written(self) -> str:
        """The frame as it stands in a stack."""
        return f"{self.key} {self.function}".rstrip()

    @property
    def application(self) -> bool:
        """Whether it is code of the application, not of a library, of Python or of the probe."""
        return bool(_BUNDLED.search(self.file)) or not _LIBRARY.search(self.file)

    @property
    def name(self) -> str:
        """The file, `movies.py`; of a library with its folder, because many have an `api.py`."""
        return "/".join(PurePath(self.file).parts[-1 if self.application else -2 :])

    @property
    def short(self) -> str:
        """File, line and function: `movies.py, line 38, in look_up`."""
        return f"{self.name}, line {self.line}{self._inside}"

    @property
    def around(self) -> str:
        """File and function: `movies.py, in look_up`."""
        return f"{self.name}{self._inside}"

    @property
    def _inside(self) -> str:
        return f", in {self.function}" if self.function else ""


def frames(stack: Sequence[str]) -> tuple[Frame, ...]:
    """Return the frames of a stack, without what does not look like one."""
    return tuple(_frames(stack))


def _frames(stack: Sequence[str]) -> Iterator[Frame]:
    return (frame for text in stack if (frame := _frame(text)) is not None)


# Stalls are many, and most of them stand in the same few lines.
@lru_cache(maxsize=1024)
def _frame(text: str) -> Frame | None:
    match = _FRAME.fullmatch(text.strip())
    return match and Frame(match["file"], int(match["line"]), (match["function"] or "").strip())


def telling_frame(stack: Sequence[str]) -> Frame | None:
    """Return the innermost frame of the application; the innermost of all without one.

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


def loop_waited(stack: Sequence[str]) -> bool:
    """Return whether the loop itself was on top: it waited for events, or for a processor."""
    inner = next(_frames(stack), None)
    if inner is None or inner.application:
        return False
    return inner.function in _WAITING or bool(_GRANIAN_WAITS.search(inner.written))


@dataclass(frozen=True)
class LoopSamples:
    """What the thread of an event loop did, by `stacks` at even intervals of a window.

    In `at_work` of them it did not wait for work: `places` holds each of those with its number, the
    most common 50. The thread used `cpu_share` of one core, and was ready but without a core for
    `delayed_share` of the window; None where that is not known.
    """

    stacks: int = 0
    at_work: int = 0
    places: tuple[tuple[tuple[str, ...], int], ...] = ()
    cpu_share: float | None = None
    delayed_share: float | None = None


ProcessRole = Literal["target", "client", "control"]


@dataclass(frozen=True)
class GaugeSeries:
    """Samples of one process each `interval_s` from the window's start; shares of one core.

    The pid 0 stands for many processes of the target that ended. `program`: the name of one that
    the settings count to the target; "" for its own.
    """

    pid: int
    role: ProcessRole
    cpu_share: tuple[float, ...]
    memory_bytes: tuple[int, ...]
    program: str = ""


@dataclass(frozen=True)
class WorkerSeries:
    """One worker of the target seen from inside, each `interval_s`; None where it was not.

    `loop_lag_s`: the longest lag of its event loop in the interval. `tokens_busy` of `tokens_total`
    threads of the pool work, `tokens_waiting` requests wait for one. `in_flight`: requests at its
    end. `completed`: requests answered in it. `gc_s`: time in garbage collection. `stalls` is how
    often the loop stood still, `stalled_s` how long; `Gauges.stalls` may hold the longest only.
    """

    pid: int
    loop_lag_s: tuple[float | None, ...]
    tokens_busy: tuple[int | None, ...]
    tokens_waiting: tuple[int | None, ...]
    in_flight: tuple[int | None, ...]
    completed: tuple[int | None, ...]
    gc_s: tuple[float | None, ...]
    tokens_total: int | None = None
    stalls: int = 0
    stalled_s: float = 0.0
    samples: LoopSamples = field(default_factory=LoopSamples)


@dataclass(frozen=True)
class Stall:
    """The event loop of `worker` (its pid) stood still from `at_s` of the window on.

    `stack` is what its thread did meanwhile: one `file:line function` for each frame, innermost
    first. Of `samples` stacks in this time `alike` stood in the same function of the application,
    and `there` of them in the same line; the commonest of those is shown.
    """

    worker: int
    at_s: float
    duration_s: float
    stack: tuple[str, ...]
    samples: int = 0
    alike: int = 0
    there: int = 0


@dataclass(frozen=True)
class Gauges:
    """What was sampled during a trial. `workers` is empty where the probe was not there."""

    interval_s: float
    processes: tuple[GaugeSeries, ...]
    workers: tuple[WorkerSeries, ...] = ()
    stalls: tuple[Stall, ...] = ()


@dataclass(frozen=True)
class ProcessUse:
    """The processor time of a `GaugeSeries`."""

    pid: int
    role: ProcessRole
    cpu_share: tuple[float, ...]


@dataclass(frozen=True)
class WorkerLag:
    """The lags of a `WorkerSeries`."""

    pid: int
    loop_lag_s: tuple[float | None, ...]


@dataclass(frozen=True)
class UseGauges:
    """What a comparison draws of `Gauges`: a quarter of it, so that a quarter need be made."""

    interval_s: float
    processes: tuple[ProcessUse, ...]
    workers: tuple[WorkerLag, ...] = ()

    @property
    def gauges(self) -> Gauges:
        """Return them as gauges whose other series are empty."""
        nothing = ((),) * 5
        return Gauges(
            self.interval_s,
            tuple(GaugeSeries(each.pid, each.role, each.cpu_share, ()) for each in self.processes),
            tuple(WorkerSeries(each.pid, each.loop_lag_s, *nothing) for each in self.workers),
        )
