"""Stalls: times in which the event loop of a worker stood still, its stacks meanwhile, and the
source lines that they name.
"""

import heapq
import os
import re
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import repeat
from pathlib import Path

from control_plane.domain.limits import BLOCKED_LOOP_S
from control_plane.domain.observations import (
    Frame,
    Gauges,
    LoopSamples,
    Stall,
    loop_waited,
    telling_frame,
)
from control_plane.targets.inside.looplab_probe.ring import PERIOD_NS, Beat
from control_plane.targets.target_files import OPEN_FLAGS

Stack = tuple[str, ...]

MAX_FRAMES = 32
"""Innermost frames that are kept; those further out belong to the server and its event loop."""
_HEAD = re.compile(rb"^(\d{1,4}) looks, most recent call first:$", re.MULTILINE)
_FRAME = re.compile(rb'  File "(.*)", line (\d+|None) in (.*)')
_ABOVE_LIBRARY = re.compile(r".*/(?=(?:site-packages|dist-packages|lib/python3\.\d+)/)")
_PROBE = "/looplab_probe/"


def parse_stacks(written: bytes, directory: Path) -> Iterator[Stack]:
    """Yield the stacks that are complete, each as often as it was looked at.

    Paths begin below `directory`, or with the folder of libraries, by which they can be told from
    the application.
    """
    _, *parts = _HEAD.split(written)
    for looks, part in zip(parts[::2], parts[1::2], strict=True):
        frames = [_FRAME.fullmatch(line) for line in part.strip(b"\0\n").split(b"\n")]
        if not all(frames):
            continue
        stack = tuple(_format(match, directory) for match in frames if match)
        own = tuple(frame for frame in stack if _PROBE not in frame)
        if own:
            yield from repeat(own[:MAX_FRAMES], int(looks))


@dataclass(frozen=True)
class CommonStack:
    """Of `samples` stacks `alike` are in the function that `stack` shows, `there` in its line."""

    stack: Stack = ()
    samples: int = 0
    alike: int = 0
    there: int = 0


def most_common_stack(stacks: Iterable[Stack]) -> CommonStack:
    """Return a stack of the most common line of the most common function of the application."""
    counted = Counter(stacks)
    lines: Counter[Frame] = Counter()
    functions: Counter[str] = Counter()
    frames = {stack: frame for stack in counted if (frame := telling_frame(stack)) is not None}
    for stack, frame in frames.items():
        lines[frame] += counted[stack]
        functions[_function(frame)] += counted[stack]
    if not frames:
        return CommonStack()
    ((function, alike),) = functions.most_common(1)
    line, there = max(
        ((frame, count) for frame, count in lines.items() if _function(frame) == function),
        key=lambda item: item[1],
    )
    stack = max(
        (stack for stack, frame in frames.items() if frame == line), key=counted.__getitem__
    )
    return CommonStack(stack, counted.total(), alike, there)


def _format(match: re.Match[bytes], directory: Path) -> str:
    file, line, function = (group.decode("ascii", "replace") for group in match.groups())
    return f"{_shortened(file, directory)}:{line} {function}"


@lru_cache(maxsize=2_000)
def _shortened(file: str, directory: Path) -> str:
    if _PROBE in file:
        return file
    short = _ABOVE_LIBRARY.sub("", file)
    return short if short != file else file.removeprefix(f"{directory}/")


def _function(frame: Frame) -> str:
    return f"{frame.file} {frame.function}"


STALL_NS = round(BLOCKED_LOOP_S * 1e9)
"""A beat that is later is a stall; the first stack is written a little before."""
MAX_STALLS = 500
STACK_READ_BYTES = 4_000_000
"""More than a file of stacks grows to before it begins anew."""


@dataclass
class StackReader:
    """The reader of the stacks that a worker writes, in a file that may be missing.

    Positions count from the first byte that was ever written; `cut_bytes` of them were cut off.
    """

    path: Path
    directory: Path
    cut_bytes: int = 0
    _read: int = 0
    _ahead: bytes = b""

    def until(self, end: int | None = None) -> list[Stack]:
        """Return the stacks from the last call's end to `end`, or to the end of the file."""
        return list(parse_stacks(self.take(end), self.directory))

    def take(self, end: int | None = None) -> bytes:
        """Return what was written there as it is; the next stacks are those behind it."""
        if end is None or end > self._read + len(self._ahead):
            self._read_ahead()
        size = len(self._ahead) if end is None else max(0, end - self._read)
        taken, self._ahead = self._ahead[:size], self._ahead[size:]
        self._read += len(taken)
        return taken

    def _read_ahead(self) -> None:
        """Read what was written since; what was cut off in between is lost."""
        if self._read + len(self._ahead) < self.cut_bytes:
            self._read, self._ahead = self.cut_bytes, b""
        try:
            descriptor = os.open(self.path, OPEN_FLAGS)
        except OSError:
            return
        try:
            at = self._read + len(self._ahead) - self.cut_bytes
            self._ahead += os.pread(descriptor, STACK_READ_BYTES, at)
        except OSError:
            return
        finally:
            os.close(descriptor)


MOST_PLACES = 50


@dataclass
class SampleRecorder:
    """What the loop's thread of a worker did in a window."""

    _stacks: Counter[Stack] = field(default_factory=Counter)
    _cpu_ns: list[tuple[int, int]] = field(default_factory=list)
    _delay_ns: list[tuple[int, int]] = field(default_factory=list)

    def add(self, stacks: Iterable[Stack], beat: Beat | None) -> None:
        """Add the next stacks, and the beat that came after them, if one did."""
        self._stacks.update(stacks)
        if beat is not None:
            self._cpu_ns[1:] = [(beat.at_ns, beat.cpu_ns)]

    def add_delay(self, at_ns: int, delay_ns: int | None) -> None:
        """Add how long the thread has waited for a processor since it began."""
        if delay_ns is not None:
            self._delay_ns[1:] = [(at_ns, delay_ns)]

    def samples(self) -> LoopSamples:
        """Return what was seen until now."""
        work = Counter(
            {stack: count for stack, count in self._stacks.items() if not loop_waited(stack)}
        )
        return LoopSamples(
            self._stacks.total(),
            work.total(),
            tuple(work.most_common(MOST_PLACES)),
            _share(self._cpu_ns),
            _share(self._delay_ns),
        )


def _share(read: list[tuple[int, int]]) -> float | None:
    """Return how much of the time between the first and the last reading was counted."""
    if len(read) < 2:
        return None
    (from_ns, before), (until_ns, after) = read
    return round((after - before) / (until_ns - from_ns), 6) if until_ns > from_ns else None


@dataclass
class StallRecorder:
    """The stalls of a worker in a window from `opened_ns` on: all counted, the longest kept."""

    worker: int
    opened_ns: int
    stacks: StackReader
    _count: int = 0
    _total_ns: int = 0
    _kept: list[tuple[float, int, Stall]] = field(default_factory=list)
    _sampled: list[Stack] = field(default_factory=list)
    _open: Stall | None = None
    samples: SampleRecorder = field(default_factory=SampleRecorder)

    def add(self, beat: Beat) -> None:
        """Add the next beat: the loop is alive again, or was all the time."""
        self._open = None
        if beat.at_ns < self.opened_ns:
            self.stacks.take(beat.stack_bytes)
            return
        seen = self.stacks.until(beat.stack_bytes)
        self.samples.add(seen, beat)
        if beat.lag_ns >= STALL_NS:
            self._sampled += seen
            self._keep(self._stall(beat.at_ns - beat.lag_ns, beat.at_ns))
        self._sampled = []

    def add_overdue(self, until_ns: int, last: Beat) -> None:
        """Add that no beat came after `last` until now."""
        due_ns = last.at_ns + PERIOD_NS
        if until_ns - due_ns >= STALL_NS and until_ns > self.opened_ns:
            seen = self.stacks.until()
            self.samples.add(seen, None)
            self._sampled += seen
            self._open = self._stall(due_ns, until_ns)

    @property
    def count(self) -> int:
        """How many stalls there were, with the one that still lasts."""
        return self._count + (self._open is not None)

    @property
    def total_s(self) -> float:
        """How long they lasted together."""
        return round(self._total_ns / 1e9 + (self._open.duration_s if self._open else 0), 6)

    def longest(self) -> list[Stall]:
        """Return the `MAX_STALLS` longest that ended, and the one that still lasts."""
        ended = [stall for _, _, stall in self._kept]
        return [*ended, self._open] if self._open else ended

    def _stall(self, from_ns: int, until_ns: int) -> Stall:
        """Return the part of a stall that lies in the window."""
        from_ns = max(from_ns, self.opened_ns)
        # The first may be of the 20 ms in which the beat was not yet due.
        held = [stack for stack in self._sampled if not loop_waited(stack)]
        common = most_common_stack(held or self._sampled)
        return Stall(
            self.worker,
            round((from_ns - self.opened_ns) / 1e9, 6),
            round((until_ns - from_ns) / 1e9, 6),
            common.stack,
            common.samples,
            common.alike,
            common.there,
        )

    def _keep(self, stall: Stall) -> None:
        self._count += 1
        self._total_ns += round(stall.duration_s * 1e9)
        heapq.heappush(self._kept, (stall.duration_s, self._count, stall))
        if len(self._kept) > MAX_STALLS:
            heapq.heappop(self._kept)


MAX_SOURCE_BYTES = 2_000_000
"""No source that people write is longer."""


def source_lines(gauges: Sequence[Gauges], directory: Path, began_s: float) -> Mapping[str, str]:
    """Return by `file:line` the frames that tell where loops were; unreadable ones are absent.

    `directory` is that of the application. The target writes the paths, so that only a regular
    file of source is opened, and one that has not changed since the run began (`began_s`, Unix).
    """
    stacks = {stall.stack for trial in gauges for stall in trial.stalls}
    for worker in (worker for trial in gauges for worker in trial.workers):
        stacks.update(stack for stack, _ in worker.samples.places)
    wanted: dict[str, set[int]] = defaultdict(set)
    for stack in stacks:
        if (frame := telling_frame(stack)) is not None:
            wanted[frame.file].add(frame.line)
    return {
        f"{file}:{line}": text[line - 1]
        for file, numbers in wanted.items()
        if (text := _text(directory / file, began_s))
        for line in numbers
        if 0 < line <= len(text)
    }


def _text(path: Path, began_s: float) -> list[str]:
    """Return the lines of a file; none of what is not source as it was before."""
    if path.suffix != ".py":
        return []
    try:
        descriptor = os.open(path, OPEN_FLAGS)
    except (OSError, ValueError):
        return []
    try:
        seen = os.fstat(descriptor)
        plain = stat.S_ISREG(seen.st_mode) and seen.st_size <= MAX_SOURCE_BYTES
        if not plain or seen.st_mtime >= began_s:
            return []
        return os.pread(descriptor, MAX_SOURCE_BYTES, 0).decode(errors="replace").splitlines()
    except OSError:
        return []
    finally:
        os.close(descriptor)
