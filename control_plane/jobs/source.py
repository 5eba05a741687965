"""The source lines in which a target stood still, read while its files are as they were."""

import linecache
from collections.abc import Mapping, Sequence
from pathlib import Path

from control_plane.analysis.causes.frames import telling
from control_plane.domain.result import Gauges


def source_lines(gauges: Sequence[Gauges], directory: Path) -> Mapping[str, str]:
    """By `file:line`, for the frames that tell where stalls were; unreadable ones are absent.

    `directory` is that of the application.
    """
    stacks = {one.stack for trial in gauges for one in trial.stalls}
    found = {frame for stack in stacks if (frame := telling(stack)) is not None}
    linecache.checkcache()
    lines = {
        frame.key: linecache.getline(str(directory / frame.file), frame.line) for frame in found
    }
    return {key: text for key, text in lines.items() if text}
