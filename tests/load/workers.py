"""Real load workers for tests, and plans for them."""

import asyncio
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from control_plane.domain.errors import ClientFailed
from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import read_spec
from control_plane.domain.stream_record import Second, StreamRecord
from control_plane.load import worker
from control_plane.load.worker_protocol import (
    LoadPlan,
    Message,
    WindowOpened,
    WorkerReady,
    WorkerResult,
    decode,
)
from tests.forked import FORKED

LEAD_NS = 5_000_000
PATIENCE_S = 120


def plan_of(url: str, path: str = "/ok", **changes: Any) -> LoadPlan:
    """A closed load of one user and ten requests without warm-up; `changes` replace its parts.

    load, stop, client, request, requests, warmup_s, timeout_s, seed and start_after_s are as in
    the spec; `strategy` is that of the client.
    """
    client = {"strategy": changes.pop("strategy", "async"), **changes.pop("client", {})}
    request = {"path": path, **changes.pop("request", {})}
    stream = {
        "requests": changes.pop("requests", [request]),
        "load": changes.pop("load", {"model": "closed", "concurrency": 1}),
        "stop": changes.pop("stop", {"requests": 10}),
        "start_after_s": changes.pop("start_after_s", 0),
    }
    spec = read_spec(
        {
            "workload": {"streams": [stream]},
            "client": client,
            "before": changes.pop("before", []),
            "warmup_s": changes.pop("warmup_s", 0),
            "timeout_s": changes.pop("timeout_s", 5.0),
        },
        Limits(),
    )
    plan = LoadPlan(spec.workload.streams[0], spec.client, url, spec.warmup_s, spec.timeout_s, 1)
    return replace(plan, **changes)


async def seconds_and_record(plan: LoadPlan) -> tuple[Sequence[Second], StreamRecord]:
    """Run one worker to its end: the seconds of the window as it sent them, and its result."""
    with _worker() as (feed, told):
        async with asyncio.timeout(PATIENCE_S):
            events = await asyncio.to_thread(_events, plan, feed, told)
    (opened,) = (event for event in events if isinstance(event, WindowOpened))
    assert isinstance(events[-1], WorkerResult)
    record = events[-1].record
    assert opened.at_ns == record.opened_ns
    seconds = [event for event in events if isinstance(event, Second)]
    assert len(record.warmup) == sum(second.index < 0 for second in seconds)
    return [second for second in seconds if second.index >= 0], record


@contextmanager
def _worker() -> Iterator[tuple[Connection, Connection]]:
    """A load worker in a process of its own: its standard input and output."""
    (stdin, feed), (told, stdout) = FORKED.Pipe(duplex=False), FORKED.Pipe(duplex=False)
    process = FORKED.Process(target=_work, args=(stdin, stdout))
    with feed, told:
        process.start()
        stdin.close()
        stdout.close()
        try:
            yield feed, told
            # It ends by itself: only then is told which lines of it were run.
            process.join(PATIENCE_S)
            assert process.exitcode == 0
        finally:
            if process.is_alive():
                process.kill()
            process.join()


def _work(stdin: Connection, stdout: Connection) -> None:
    """What `python -m control_plane.load` does once it has its imports."""
    os.dup2(stdin.fileno(), 0)
    os.dup2(stdout.fileno(), 1)
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    worker.main([])
    os._exit(0)


def _events(plan: LoadPlan, feed: Connection, told: Connection) -> list[Message]:
    """All that a worker tells from its window on."""
    events: list[Message] = []
    with (
        open(feed.fileno(), "wb", 0, closefd=False) as stdin,
        open(told.fileno(), "rb", closefd=False) as stdout,
    ):
        stdin.write(plan.line())
        assert isinstance(decode(stdout.readline()), WorkerReady)
        stdin.write(b"%d\n" % (time.monotonic_ns() + LEAD_NS))
        for line in stdout:
            events.append(decode(line, [event for event in events if isinstance(event, Second)]))
            if isinstance(events[-1], WorkerResult):
                break
    return events


def soft_limit_after(soft: int, hard: int, connections: int) -> int | str:
    """In a process of its own, because a hard limit cannot be raised again."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        worker.raise_file_limit(connections)
    except ClientFailed as error:
        return str(error)
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


async def record_of(plan: LoadPlan) -> StreamRecord:
    return (await seconds_and_record(plan))[1]


def completed(record: StreamRecord) -> int:
    return sum(second.completed for second in record.seconds)
