"""A real process and its children, made and killed as a test needs them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from control_plane.targets.observation import procfs
from tests.targets.site import until

SCRIPT = Path(__file__).with_name("forking.py")


@dataclass(frozen=True)
class Family:
    """A process that makes children as `forking.py` says."""

    parent: "subprocess.Popen[str]"

    @property
    def pid(self) -> int:
        return self.parent.pid

    def make(self, verb: str = "fork") -> int:
        """Return the pid of who is ready then."""
        assert self.parent.stdin
        assert self.parent.stdout
        self.parent.stdin.write(f"{verb}\n")
        self.parent.stdin.flush()
        return int(self.parent.stdout.readline())


@contextmanager
def family(port: int = 0) -> Iterator[Family]:
    """All of it is gone after."""
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), str(port)],
        text=True,
        process_group=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        try:
            yield Family(parent)
        finally:
            os.killpg(parent.pid, signal.SIGKILL)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: procfs.started_at(pid) is None, lambda: f"{pid} lives", 5)


def run_another_program(copy: int) -> None:
    os.kill(copy, signal.SIGUSR1)
    until(lambda: procfs.command_name(copy) == "sleep", lambda: f"{copy} is a copy", 5)
