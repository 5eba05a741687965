"""Starts a load worker, follows its events and ends it: the parent's side."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from math import ceil
from pathlib import Path
from typing import Self

from control_plane.domain.errors import ClientFailed
from control_plane.domain.stream_record import Second
from control_plane.load import worker_protocol
from control_plane.load.worker_protocol import (
    Draining,
    LoadPlan,
    Message,
    OpenEnds,
    Rejected,
    WindowClosed,
    WindowOpened,
    WorkerReady,
    WorkerResult,
)
from control_plane.targets.guarded_server import ChildProcess

_ROOT = Path(__file__).resolve().parents[2]
_INHERITED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "VIRTUAL_ENV")
_LONGEST_MESSAGE = 16_000_000
_LOG_LINES = 20
_TERM_S = 0.5

READY_S = 65
"""A worker that is not ready by then did not even end itself, as it does after a minute."""
SILENT_S = 20
"""In its window a worker tells something each second."""
HELD_S = 8
"""How long a worker may be held by a signal such as SIGSTOP."""
_LOOK_S = 2


class LoadWorker:
    """One fresh process that drives one stream; made by `start`, ended by `stop`."""

    def __init__(self, plan: LoadPlan, process: Process) -> None:
        self.plan, self.pid = plan, process.pid
        self._process = process
        self._handle = ChildProcess(process.pid)
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._logging = asyncio.create_task(self._keep_log())
        self._seconds: list[Second] = []
        self._stopping: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, plan: LoadPlan, *, cores: Collection[int] | None, environment: Mapping[str, str]
    ) -> Self:
        """Start on `cores` (None: all), with `environment` added to a small one of its own.

        Call it from the main thread: the worker dies with the thread that started it.
        """
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-P", "-m", "control_plane.load"],
            *([",".join(map(str, sorted(cores)))] if cores else []),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            limit=_LONGEST_MESSAGE,
            env=_environment(environment),
            start_new_session=True,
        )
        worker = cls(plan, process)
        worker._write(plan.line())
        return worker

    async def ready(self) -> None:
        """Return when imports are done and bodies made. Raises ClientFailed."""
        event = await self._next(READY_S)
        if not isinstance(event, WorkerReady):
            raise ClientFailed(f"client said {type(event).__name__} before it was ready")

    def go(self, at_ns: int) -> None:
        """Let load begin at `at_ns` of CLOCK_MONOTONIC, the same for all workers of a trial."""
        self._write(b"%d\n" % at_ns)

    async def events(
        self,
    ) -> AsyncIterator[WindowOpened | WindowClosed | Draining | OpenEnds | Second | WorkerResult]:
        """Yield its events up to WorkerResult.

        Raises ClientFailed when the worker ends before, is held, or says nothing any more.
        """
        patience_s = SILENT_S + self.plan.lead_s + self.plan.patience_s
        while True:
            event = await self._next(patience_s)
            if isinstance(event, WindowOpened):
                patience_s = SILENT_S
            if isinstance(event, Second):
                self._seconds.append(event)
            if not isinstance(event, WorkerReady | Rejected):
                yield event
            if isinstance(event, WorkerResult):
                return

    def held(self) -> str:
        """Return that a signal such as SIGSTOP holds it, in words; "" where none does."""
        stands = self._handle.stands_still()
        return f"client (process {self.pid}) is held by a signal (SIGSTOP)" if stands else ""

    async def stop(self) -> None:
        """Close its input, TERM, half a second, KILL; goes on when the caller is cancelled."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._handle.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(_TERM_S):
                await self._process.wait()
        except TimeoutError:
            self._handle.send(signal.SIGKILL)
            await self._process.wait()
        await self._logging
        await self._drain()
        self._handle.close()

    async def _drain(self) -> None:
        """Read to the end what is left, so that the pipe is closed."""
        stream = self._process.stdout
        # Somebody who still follows the events reads the end himself.
        with contextlib.suppress(RuntimeError):
            while stream is not None and await stream.read(65_536):
                continue

    def _write(self, line: bytes) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(line)

    async def _next(self, patience_s: float) -> Message:
        line = await self._line(patience_s)
        if not line.endswith(b"\n"):
            raise await self._failure()
        event = worker_protocol.decode(line, self._seconds)
        if isinstance(event, Rejected):
            raise ClientFailed(event.reason)
        return event

    async def _line(self, patience_s: float) -> bytes:
        """Return the next line of its output. Raises ClientFailed when none comes for so long.

        Looks are counted, not time: where this process stood still itself, its first look finds
        what came meanwhile.
        """
        stream = self._process.stdout
        if stream is None:
            return b""
        reading, held_s = asyncio.ensure_future(stream.readline()), 0
        try:
            for _ in range(ceil(patience_s / _LOOK_S)):
                if (await asyncio.wait([reading], timeout=_LOOK_S))[0]:
                    return reading.result()
                held_s = held_s + _LOOK_S if self._handle.stands_still() else 0
                if held_s >= HELD_S:
                    break
        finally:
            reading.cancel()
        silent = f"client (process {self.pid}) said nothing for {patience_s:.0f} s"
        raise ClientFailed(self.held() or silent, tuple(self._log))

    async def _failure(self) -> ClientFailed:
        """The worker closed its output: it is dead, or about to be."""
        code = await self._process.wait()
        await self._logging
        return ClientFailed(f"client {_end(code)}", tuple(self._log))

    async def _keep_log(self) -> None:
        while self._process.stderr is not None and (line := await self._process.stderr.readline()):
            self._log.append(line.decode(errors="replace").rstrip())


def _end(code: int) -> str:
    if code == -signal.SIGALRM:
        return "got stuck and ended itself"
    if code < 0:
        return f"died, signal {-code} ({signal.Signals(-code).name})"
    return f"died, exit code {code}"


def _environment(added: Mapping[str, str]) -> dict[str, str]:
    """No proxy, no Python settings of the person who runs Looplab."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    # numpy's threads would take processor time from the load, and it never needs them here. aiohttp
    # would read all certificates of the system while it is imported, and none is verified.
    fixed = {"PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1", "SSL_CERT_FILE": os.devnull}
    return {**inherited, **fixed, **added}
