"""A server under its guard: its start, what the guard reports of it, its output, and its stop."""

import asyncio
import contextlib
import errno
import fcntl
import os
import re
import signal
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from control_plane.domain.errors import StartPrevented, TargetFailed
from control_plane.domain.secrets import SecretFinder
from control_plane.targets.environment_variables import LAUNCH
from control_plane.targets.marked_processes import end_marked
from control_plane.targets.observation import procfs
from control_plane.targets.target_files import ScratchDirs


class ChildProcess:
    """A child that can be signalled, however late; `close` it in the end.

    asyncio reaps children behind our back, so that a pid is nobody's proof; `Process.send_signal`
    would in turn reap one behind the back of asyncio. A child that was reaped before this is
    made gets no signal any more, and nobody else in its place. Outside Linux nothing is sent.
    """

    def __init__(self, pid: int) -> None:
        self._descriptor = _pidfd_of(pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; do nothing once the child has ended."""
        if self._descriptor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def stands_still(self) -> bool:
        """Return whether a signal such as SIGSTOP holds it."""
        if self._descriptor is None:
            return False
        try:
            flags = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PIDFD, self._descriptor, flags) is not None
        except ChildProcessError:
            return False

    def close(self) -> None:
        """Close the pidfd."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _pidfd_of(pid: int) -> int | None:
    """Return its pidfd; None when it was reaped already, so that its pid may be another's."""
    if sys.platform != "linux":
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        os.close(descriptor)
        return None
    return descriptor


OUTPUT_READ_BYTES = 128_000
_LONGEST_LINE = 500
_TERMINAL_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z^_])")
"""Colours, movements of the cursor and titles of windows, by ECMA-48."""


class ServerOutput:
    """What a server prints: a file in memory that it appends to by `descriptor`.

    No pipe stands between server and control plane, so a server never waits for a slow reader.
    `lines` may be used from any thread.
    """

    def __init__(self, lines: int, secrets: Mapping[str, str] | None = None) -> None:
        """Show at most `lines` lines, above 0, and the values of `secrets` by name alone."""
        self._secrets = dict(secrets or {})
        self._finder = SecretFinder(self._secrets)
        self.descriptor = os.memfd_create("looplab-output", os.MFD_CLOEXEC)
        fcntl.fcntl(self.descriptor, fcntl.F_SETFL, os.O_APPEND)
        self._max_lines = lines
        self._closed: tuple[str, ...] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def lines(self) -> tuple[str, ...]:
        """Return the newest lines, oldest first; one longer than 500 characters is cut."""
        with self._lock:
            return self._read() if self._closed is None else self._closed

    def hide(self, secrets: Mapping[str, str]) -> None:
        """Show the values of these by name alone, too."""
        if secrets:
            self._secrets |= secrets
            self._finder = SecretFinder(self._secrets)

    def close(self) -> None:
        """Give the memory back; `lines` stay as they are now."""
        with self._lock:
            if self._closed is None:
                self._closed = self._read()
                os.close(self.descriptor)

    def _read(self) -> tuple[str, ...]:
        size = os.fstat(self.descriptor).st_size
        start = max(0, size - OUTPUT_READ_BYTES)
        text = os.pread(self.descriptor, OUTPUT_READ_BYTES, start).decode(errors="replace")
        text = _TERMINAL_CODES.sub("", text)
        lines = self._finder.hide(text).lstrip("\0").splitlines()
        whole = lines[1:] if start else lines
        return tuple(line[:_LONGEST_LINE] for line in whole[-self._max_lines :])


GUARD = Path(__file__).with_name("guard.py")
_EXHAUSTED = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
"""The system has no process, memory or file left, whoever asks."""
GRACE_S = 0.5
"""How long a server may take to end by itself when it is asked to."""
REPORT_TIMEOUT_S = 10.0
"""How long its guard may take to say that it has begun it."""
GUARD_PATIENCE_S = 0.5
"""How much longer its guard may take."""


@dataclass(frozen=True)
class LaunchSpec:
    """How one server is started.

    `directories` are its own and go when it goes; `cores` None means all. `secrets` are values, by
    name, that stand in no line of its log.
    """

    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    directories: ScratchDirs
    cores: Collection[int] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


class GuardedServer:
    """A server under its guard. Made by `start`; `stop` is always called in the end."""

    def __init__(self, process: Process, output: ServerOutput, spec: LaunchSpec) -> None:
        self._process, self.output, self._spec = process, output, spec
        self._guard = ChildProcess(process.pid)
        self._reason: str | None = None
        self._stop_requested = False
        self._ended = asyncio.Event()
        self._server_pid: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read_guard(), name=f"guard {process.pid}")
        self._stopping: asyncio.Task[None] | None = None
        self._limit: asyncio.Timeout | None = None
        self._deadline_s = 0.0
        self._reported_end = False

    @classmethod
    async def start(cls, spec: LaunchSpec, *, log_lines: int) -> Self:
        """Return as soon as the guard runs; `server_pid` waits until the server does."""
        cores = ",".join(map(str, sorted(spec.cores or ()))) or "all"
        output = ServerOutput(log_lines, spec.secrets)
        try:
            process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-I", "-S", str(GUARD), cores],
                *[str(spec.directories.scratch or ""), str(spec.directories.probe or "")],
                *spec.command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=output.descriptor,
                cwd=spec.directory,
                env=spec.environment,
                start_new_session=True,
            )
        except (Exception, asyncio.CancelledError) as error:
            output.close()
            refused = isinstance(error, OSError) and error.filename is not None
            # A guard that is killed before its first report may have begun its server.
            await _clear(spec, begun=not refused)
            if isinstance(error, OSError):
                kind = StartPrevented if error.errno in _EXHAUSTED else TargetFailed
                raise kind(f"start: {error.strerror}: {error.filename or GUARD}") from None
            raise
        return cls(process, output, spec)

    @property
    def reason(self) -> str | None:
        """Why the server ended by itself, such as `signal 9`; None while it runs, or if stopped."""
        return self._reason

    @property
    def killed(self) -> bool:
        """Whether a grace was over before the server had ended."""
        return self._stop_requested and self._ended.is_set() and not self._reported_end

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called: what ends from then on has not failed."""
        return self._stop_requested

    async def server_pid(self) -> int:
        """Return the pid of the server's first process; 0 when it never came to be.

        Raises TargetFailed when the guard does not tell it.
        """
        try:
            async with asyncio.timeout(REPORT_TIMEOUT_S):
                return await asyncio.shield(self._server_pid)
        except TimeoutError:
            why = self.held() or f"its guard said nothing for {REPORT_TIMEOUT_S:g} s"
            raise TargetFailed(f"start: {why}", self.output.lines()) from None

    def held(self) -> str:
        """Return which process, its guard included, a signal holds, in words; "" for none."""
        return procfs.held([self._process.pid, *procfs.descendants(self._process.pid)])

    def pids(self) -> list[int]:
        """Return all processes that come from the server, itself included."""
        # The first is the guard, below the process that takes over from it.
        return procfs.descendants(self._process.pid)[1:]

    def guards(self) -> list[int]:
        """Return the guard, and before it the process that takes over from it."""
        return [self._process.pid, *procfs.children(self._process.pid)]

    async def ended(self) -> str:
        """Wait until the server is gone; return `reason`, or `stopped`."""
        await self._ended.wait()
        return self._reason or "stopped"

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Send SIGTERM, after the grace SIGKILL to all; goes on if the caller is cancelled.

        A second call can shorten the grace.
        """
        now_s = asyncio.get_running_loop().time()
        if self._stopping is None:
            self._deadline_s = now_s + grace_s + GUARD_PATIENCE_S
            self._stopping = asyncio.create_task(self._stop(grace_s))
        self._deadline_s = min(self._deadline_s, now_s + grace_s + GUARD_PATIENCE_S)
        if self._limit is not None:
            self._limit.reschedule(self._deadline_s)
        await asyncio.shield(self._stopping)

    async def _stop(self, grace_s: float) -> None:
        self._request_stop(grace_s)
        try:
            async with asyncio.timeout_at(self._deadline_s) as self._limit:
                await self._process.wait()
        except TimeoutError:
            # A guard that SIGSTOP holds cannot work, and one that waits cannot be told of a shorter
            # grace; its server is tied to its life.
            self._guard.send(signal.SIGKILL)
            await self._process.wait()
        finally:
            self._limit = None
        await self._reading
        self.output.close()
        self._guard.close()

    def _request_stop(self, grace_s: float) -> None:
        self._stop_requested = True
        pipe = self._process.stdin
        if pipe is not None and not pipe.is_closing():
            pipe.write(f"stop {grace_s}\n".encode())
            pipe.close()

    async def _read_guard(self) -> None:
        """Read what the guard reports until it is gone; if it was killed, end what it left."""
        stream = self._process.stdout
        while stream and (line := await stream.readline()):
            self._on_report(*line.decode().split())
            self._reported_end = self._ended.is_set()
        code = await self._process.wait()
        self._on_report("killed" if code < 0 else "exited", str(abs(code)))
        if code != 0:
            await _clear(self._spec)

    def _on_report(self, verb: str, number: str) -> None:
        if not self._server_pid.done():
            self._server_pid.set_result(int(number) if verb == "started" else 0)
        if verb == "started":
            return
        if self._reason is None and not self._stop_requested:
            self._reason = f"signal {number}" if verb == "killed" else f"exit code {number}"
        self._ended.set()


async def _clear(spec: LaunchSpec, *, begun: bool = True) -> None:
    """End what a guard left, and remove its files, also when the caller is cancelled meanwhile.

    In a thread: every process of the system is looked at, some more than once.
    """

    def clear() -> None:
        if begun:
            end_marked(LAUNCH, spec.environment[LAUNCH])
        spec.directories.remove()

    await asyncio.shield(asyncio.to_thread(clear))
