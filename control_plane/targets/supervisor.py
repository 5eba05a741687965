"""The control plane's end of a guard: starts it, hears from it, and has it end its server."""

import asyncio
import fcntl
import os
import signal
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from control_plane.domain.errors import TargetFailed
from control_plane.processes.child_process import ChildProcess
from control_plane.targets import procfs
from control_plane.targets.environment import LAUNCH, ScratchDirs
from control_plane.targets.orphans import end_marked

READ_BYTES = 128_000
_LONGEST_LINE = 500


class ServerOutput:
    """A file in memory that only grows at its end; `descriptor` is for the server to write to.

    No pipe stands between server and control plane, so a server never waits for a slow reader.
    `lines` may be used from any thread.
    """

    def __init__(self, lines: int, secrets: Mapping[str, str] | None = None) -> None:
        """At most `lines` lines, above 0, are ever shown; values of `secrets` by name alone."""
        self._secrets = dict(secrets or {})
        self.descriptor = os.memfd_create("looplab-output", os.MFD_CLOEXEC)
        fcntl.fcntl(self.descriptor, fcntl.F_SETFL, os.O_APPEND)
        self._most = lines
        self._closed: tuple[str, ...] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def lines(self) -> tuple[str, ...]:
        """The newest lines, oldest first; one longer than 500 characters is cut."""
        with self._lock:
            return self._read() if self._closed is None else self._closed

    def close(self) -> None:
        with self._lock:
            if self._closed is None:
                self._closed = self._read()
                os.close(self.descriptor)

    def _read(self) -> tuple[str, ...]:
        size = os.fstat(self.descriptor).st_size
        start = max(0, size - READ_BYTES)
        text = os.pread(self.descriptor, READ_BYTES, start).decode(errors="replace")
        for name, value in self._secrets.items():
            text = text.replace(value, f"[{name}]")
        lines = text.lstrip("\0").splitlines()
        whole = lines[1:] if start else lines
        return tuple(line[:_LONGEST_LINE] for line in whole[-self._most :])


GUARD = Path(__file__).with_name("guard.py")
GRACE_S = 0.5
"""How long a server may take to end by itself when it is asked to."""
GUARD_PATIENCE_S = 0.5
"""How much longer its guard may take."""


@dataclass(frozen=True)
class LaunchSpec:
    """One server to be started.

    `folders` are its own and go when it goes; `cores` None means all. `secrets` are
    values, by name, that stand in no line of its log.
    """

    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    folders: ScratchDirs
    cores: Collection[int] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


class Supervisor:
    """A server under its guard. Made by `start`; `stop` is always called in the end."""

    def __init__(self, process: Process, output: ServerOutput, orders: LaunchSpec) -> None:
        self._process, self.output, self._orders = process, output, orders
        self._handle = ChildProcess(process.pid)
        self._reason: str | None = None
        self._asked = False
        self._over = asyncio.Event()
        self._told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen(), name=f"guard {process.pid}")
        self._stopping: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, orders: LaunchSpec, *, log_lines: int) -> Self:
        """Returns as soon as the guard runs; `server` tells when the server does."""
        cores = ",".join(map(str, sorted(orders.cores or ()))) or "all"
        output = ServerOutput(log_lines, orders.secrets)
        try:
            process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-I", "-S", str(GUARD), cores],
                *[str(orders.folders.scratch or ""), str(orders.folders.inside or "")],
                *orders.command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=output.descriptor,
                cwd=orders.directory,
                env=orders.environment,
                start_new_session=True,
            )
        except (Exception, asyncio.CancelledError) as error:
            output.close()
            refused = isinstance(error, OSError) and error.filename is not None
            # A guard that is killed before it was heard of may have begun its server.
            await _clear(orders, begun=not refused)
            if isinstance(error, OSError):
                raise TargetFailed(f"start: {error.strerror}: {error.filename or GUARD}") from None
            raise
        return cls(process, output, orders)

    @property
    def reason(self) -> str | None:
        """Why the server went by itself, such as `signal 9`; None while it runs, or was stopped."""
        return self._reason

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called: what ends from then on has not failed."""
        return self._asked

    async def server(self) -> int:
        """The pid of the server's first process; 0 when it never came to be."""
        return await asyncio.shield(self._told)

    def pids(self) -> list[int]:
        """All processes that come from the server, itself included."""
        return procfs.descendants(self._process.pid)

    async def ended(self) -> str:
        """Wait until the server is gone; the same words as `reason`, or `stopped`."""
        await self._over.wait()
        return self._reason or "stopped"

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """SIGTERM, the grace, SIGKILL to everything; goes on when the caller is cancelled."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(grace_s))
        await asyncio.shield(self._stopping)

    async def _stop(self, grace_s: float) -> None:
        self._ask(grace_s)
        try:
            async with asyncio.timeout(grace_s + GUARD_PATIENCE_S):
                await self._process.wait()
        except TimeoutError:
            # A guard that SIGSTOP holds cannot work; its server is tied to its life.
            self._handle.send(signal.SIGKILL)
            await self._process.wait()
        await self._listening
        self.output.close()
        self._handle.close()

    def _ask(self, grace_s: float) -> None:
        self._asked = True
        pipe = self._process.stdin
        if pipe is not None and not pipe.is_closing():
            pipe.write(f"stop {grace_s}\n".encode())
            pipe.close()

    async def _listen(self) -> None:
        """Read what the guard tells until it is gone; if it was killed, end what it left."""
        stream = self._process.stdout
        while stream and (line := await stream.readline()):
            self._hear(*line.decode().split())
        code = await self._process.wait()
        self._hear("killed" if code < 0 else "exited", str(abs(code)))
        if code != 0:
            await _clear(self._orders)

    def _hear(self, verb: str, number: str) -> None:
        if not self._told.done():
            self._told.set_result(int(number) if verb == "started" else 0)
        if verb == "started":
            return
        if self._reason is None and not self._asked:
            self._reason = f"signal {number}" if verb == "killed" else f"exit code {number}"
        self._over.set()


async def _clear(orders: LaunchSpec, *, begun: bool = True) -> None:
    """End what a guard left, and remove its files, also when the caller is cancelled meanwhile.

    In a thread: every process of the system is looked at, some more than once.
    """

    def clear() -> None:
        if begun:
            end_marked(LAUNCH, orders.environment[LAUNCH])
        orders.folders.remove()

    await asyncio.shield(asyncio.to_thread(clear))
