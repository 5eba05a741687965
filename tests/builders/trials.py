"""Runs, trials and records as the other rooms hand them over, with a few values chosen."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TypeVar

import numpy as np

from control_plane.analysis.summary import merge, summarize
from control_plane.analysis.validity import MeasuredRun
from control_plane.analysis.validity.judged_run import GATES
from control_plane.domain.client_strategies import StrategyName
from control_plane.domain.histogram import Histogram
from control_plane.domain.load_models import Closed
from control_plane.domain.observations import Gauges, GaugeSeries
from control_plane.domain.result import ClientUse, Reason, Summary, TargetUse, Trial
from control_plane.domain.run import Run, RunDetail, State, StreamResult
from control_plane.domain.spec import Client, RequestClass, Spec, Stop, Stream, Workload
from control_plane.domain.stream_record import Second, StreamRecord

Known = TypeVar("Known")

MS = 1_000_000
START = datetime(2026, 11, 20, 14, 2, tzinfo=UTC)


def known(value: Known | None) -> Known:
    assert value is not None
    return value


def reason_of(gate: str, trials: Sequence[Trial], spec_: Spec | None = None) -> Reason | None:
    """What one gate says of a run with such trials."""
    return GATES[gate].reason(MeasuredRun(tuple(trials), spec_ or spec()))


def with_spaces(text: str) -> str:
    """No-break spaces as plain ones, so that expectations can be typed."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


def histogram(*times_ms: float) -> Histogram:
    return Histogram.of(np.array([round(time_ms * MS) for time_ms in times_ms], np.int64))


def second(index: int, *times_ms: float, errors: int = 0) -> Second:
    times = histogram(*times_ms)
    return Second(index, errors, times, times)


def record(*seconds: Second, duration_s: float | None = None, **chosen) -> StreamRecord:
    """Everything that is not chosen is consistent with the seconds."""
    completed = sum(second.completed for second in seconds)
    failed = sum(second.errors for second in seconds)
    defaults = {
        "name": "items",
        "opened_ns": 5,
        "duration_ns": round((duration_s or len(seconds)) * 1e9),
        "seconds": seconds,
        "errors": {"reset": failed} if failed else {},
        "statuses": {"200": completed},
        "in_flight_ns": (),
        "intended": completed + failed,
        "sent": completed + failed,
        "send_lag": None,
        "bytes_sent": 100 * completed,
        "bytes_received": 200 * completed,
        "in_system_ns": 0,
        "new_connections": 1,
        "connections": 1,
        "sent_again": 0,
        "cpu_s": 0.5,
        "spin_s": 0.0,
        "peak_memory_bytes": 50_000_000,
    }
    return StreamRecord(**{**defaults, **chosen})


def result(*seconds: Second, cpu_s: float | None = 1.0, **chosen) -> StreamResult:
    return summarize(
        record(*seconds, **chosen),
        spec(),
        target_cpu_s=cpu_s,
        target_peak_memory_bytes=61_000_000,
    )


def spread(median_ms: float, count: int, seed: int = 1) -> list[float]:
    """Log-normal times around the median, a long tail to the right."""
    return list(median_ms * np.exp(np.random.default_rng(seed).normal(0, 0.4, count)))


def steady(median_ms: float, per_second: int = 500, seconds: int = 3, **chosen) -> StreamResult:
    rows = [_steady_second(index, median_ms, per_second) for index in range(seconds)]
    return result(*rows, **chosen)


@cache
def _steady_second(index: int, median_ms: float, count: int) -> Second:
    return second(index, *spread(median_ms, count, index))


def spec(
    strategy: StrategyName = "async",
    concurrency: int = 100,
    *,
    duration_s: float | None = None,
    names: tuple[str, ...] = ("items",),
    **chosen,
) -> Spec:
    stop = Stop(duration_s=duration_s) if duration_s else Stop(requests=24_999)
    load = chosen.pop("load", Closed(concurrency=concurrency))
    streams = tuple(
        Stream((RequestClass(path="/items/1"),), load, stop, name=name) for name in names
    )
    return Spec(workload=Workload(streams), client=Client(strategy=strategy), **chosen)


def trial(*streams: Summary, block: int = 0, restarts: int | None = 0, **client) -> Trial:
    used = {"busiest_cpu_share": 0.5, "cpu_s": 1.0, "peak_memory_bytes": 1, "connections": {}}
    return Trial(
        block=block,
        started_at="2026-11-20T14:02:00.000Z",
        streams=streams,
        target=TargetUse("http://127.0.0.2:1", restarts=restarts, cpu_s=1.0),
        client=ClientUse(**{**used, **client}),
    )


def summary(**chosen) -> Summary:
    """A stream of 1,500 requests in 3 s."""
    return replace(steady(1.0).summary, **chosen)


def run(run_id: str = "0000000001", *results: StreamResult, **chosen) -> Run:
    """Finished, with one trial whose streams are `results`."""
    streams = tuple(result.summary for result in results) or (steady(1.0).summary,)
    defaults = {
        "title": "items",
        "tags": (),
        "note": "",
        "state": State.FINISHED,
        "reason": None,
        "created_at": START,
        "started_at": START,
        "finished_at": START + timedelta(seconds=9),
        "spec": spec(),
        "command": "python -m uvicorn",
        "environment": {"cpu_model": "EPYC", "python": "3.11.7"},
        "validity": None,
        "trials": (trial(*streams),),
        "streams": streams,
    }
    return Run(**{"id": run_id, **defaults, **chosen})


def gauges(length: int = 6, target: float = 0.3, client: float = 0.8) -> Gauges:
    memory = (50_000_000,) * length
    return Gauges(
        0.5,
        (
            GaugeSeries(11, "target", (target,) * length, memory),
            GaugeSeries(12, "client", (client,) * length, memory),
            GaugeSeries(13, "control", (0.02,) * length, memory),
        ),
    )


def detail(run: Run, *results: StreamResult) -> RunDetail:
    """Each result is run trial of the run's first stream."""
    name = run.spec.workload.streams[0].name
    timelines = tuple(result.timeline for result in results if result.timeline)
    (merged,) = merge([[result] for result in results], 30.0)
    trials = tuple(trial(each.summary, block=at) for at, each in enumerate(results))
    return RunDetail(
        replace(run, streams=(merged.summary,), trials=trials),
        {name: merged},
        {name: timelines},
        tuple(gauges(2 * len(line.completed)) for line in timelines),
    )
