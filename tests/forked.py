"""Looplab's command in a process of its own that is forked from one which has imported it before.

Each lane of tests has one such process (`FORKED`), from which load workers of tests come as well.

For tests to which start and end of the interpreter are not the point: what each start would import
again takes a second of the processor. It does not prove what the import of the command does, that
the variables of Python itself (`PYTHON…`) work, which are set after it, or that the process ends:
multiprocessing leaves by `os._exit`, so no handler of `atexit` and no finalisation is run. In
`/proc` it has command line and environment of the process that it was forked from, and that is its
parent. Execute a `dashboard` for these.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from control_plane.__main__ import main

FORKED = get_context("forkserver")
"""Processes forked from one that has imported everything, and done nothing else."""
# Python has one such process, and what it imports is decided when the first is forked.
FORKED.set_forkserver_preload(["tests.preloaded"])

Within = Callable[[], AbstractContextManager[object]]
"""What can be pickled."""


@dataclass(frozen=True)
class ForkedProcess:
    """Has of `subprocess.Popen` what the tests use."""

    process: ForkServerProcess

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired("looplab", timeout or 0)
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        self.process.kill()


def forked(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    streams: Sequence[int],
    within: Within = nullcontext,
) -> ForkedProcess:
    """Start `looplab` in a folder; `streams` are its standard input, output and errors.

    It works in the context that `within` makes in its process.
    """
    sent = [Connection(os.dup(stream)) for stream in streams]
    asked = (arguments, folder, {**os.environ, **environment}, sent, within)
    process = FORKED.Process(target=_looplab, args=asked, daemon=True)
    process.start()
    for connection in sent:
        connection.close()
    return ForkedProcess(process)


def _looplab(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    sent: list[Connection],
    within: Within,
) -> None:
    for number, connection in enumerate(sent):
        os.dup2(connection.fileno(), number)
        connection.close()
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["looplab", *arguments]
    with within():
        main()


def looplab(
    arguments: Sequence[str],
    folder: Path,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    within: Within = nullcontext,
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, as `subprocess.run` does; `within` as in `forked`."""
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(3)]
        files[0].write(stdin or "")
        for file in files:
            file.seek(0)
        streams = [file.fileno() for file in files]
        process = forked(arguments, folder, environment or {}, streams, within)
        try:
            code = process.wait(120)
        finally:
            process.kill()
        printed = []
        for file in files[1:]:
            file.seek(0)
            printed.append(file.read())
    return subprocess.CompletedProcess(arguments, code, *printed)
