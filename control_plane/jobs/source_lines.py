"""The source lines in which a target stood still, read while its files are as they were."""

import os
import stat
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from control_plane.domain.result import Gauges
from control_plane.domain.stack_frames import telling_frame

MOST_BYTES = 2_000_000
"""No source that people write is longer."""
FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


def source_lines(gauges: Sequence[Gauges], directory: Path, began_s: float) -> Mapping[str, str]:
    """Return by `file:line` the frames that tell where stalls were; unreadable ones are absent.

    `directory` is that of the application. The target writes the paths, so that only a regular
    file of source is opened, and one that has not changed since the run began (`began_s`, Unix).
    """
    stacks = {stall.stack for trial in gauges for stall in trial.stalls}
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
        descriptor = os.open(path, FLAGS)
    except (OSError, ValueError):
        return []
    try:
        seen = os.fstat(descriptor)
        plain = stat.S_ISREG(seen.st_mode) and seen.st_size <= MOST_BYTES
        if not plain or seen.st_mtime >= began_s:
            return []
        return os.pread(descriptor, MOST_BYTES, 0).decode(errors="replace").splitlines()
    except OSError:
        return []
    finally:
        os.close(descriptor)
