"""A hold on a child reaches the child, and nobody who has its pid after it."""

import os
import signal
import subprocess
from pathlib import Path

from control_plane.child_process import ChildProcess


def test_it_kills_a_child_and_then_nobody() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        before = open_files()
        handle = ChildProcess(child.pid)
        handle.send(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        handle.send(signal.SIGKILL)
        handle.close()
        handle.close()
        assert open_files() == before


def test_one_that_was_reaped_or_is_no_child_is_left_alone() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    before = open_files()
    for pid in (gone.pid, os.getpid(), os.getppid()):
        ChildProcess(pid).send(signal.SIGKILL)
    assert open_files() == before


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
