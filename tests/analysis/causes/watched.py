"""Evidence of a run with one trial of 10 s, seen from inside, with a few values chosen."""

from dataclasses import replace
from typing import Any

from control_plane.analysis.causes import CAUSES
from control_plane.analysis.causes.evidence import Evidence
from control_plane.domain.observations import Gauges, GaugeSeries, Stall, WorkerSeries
from control_plane.domain.result import Cause, Reason, Validity
from control_plane.domain.spec import Spec, Target
from tests.builders.trials import spec, summary, trial

INTERVAL_S = 0.5
SLOTS = 20
WINDOW_S = SLOTS * INTERVAL_S

APP = "/work/app/target_app/workloads/movies.py"
LIB = "/venv/lib/python3.11/site-packages"
SLEEPING = (
    f"{APP}:38 look_up_blocking",
    f"{APP}:60 movie_blocking",
    f"{LIB}/fastapi/routing.py:120 run_endpoint_function",
    "/usr/lib/python3.11/asyncio/events.py:80 _run",
)
IDLE = (
    "/usr/lib/python3.11/asyncio/runners.py:118 run",
    f"{LIB}/uvicorn/server.py:60 run",
)


def worker(pid: int = 11, **chosen: Any) -> WorkerSeries:
    """Idle; a single value of a series stands for all its slots."""
    usual = {
        "loop_lag_s": 0.001,
        "tokens_busy": 0,
        "tokens_waiting": 0,
        "in_flight": 1,
        "completed": 100,
        "gc_s": 0.001,
    }
    alone = ("stalls", "stalled_s", "samples")
    totals = {name: chosen.pop(name) for name in alone if name in chosen}
    threads = chosen.pop("tokens_total", 40)
    series: dict[str, Any] = {
        name: value if isinstance(value, tuple) else (value,) * SLOTS
        for name, value in {**usual, **chosen}.items()
    }
    return WorkerSeries(pid=pid, tokens_total=threads, **series, **totals)


def stalls(count: int, duration_s: float, stack: tuple[str, ...] = SLEEPING) -> tuple[Stall, ...]:
    """One after the other, evenly over the window."""
    gap_s = WINDOW_S / max(1, count)
    return tuple(Stall(11, at * gap_s, duration_s, stack) for at in range(count))


def evidence(
    *workers: WorkerSeries,
    cpu: float | tuple[float, ...] = 0.3,
    held: tuple[Stall, ...] = (),
    **chosen: Any,
) -> Evidence:
    """`cpu`: share of a core of each worker. Without workers nothing was seen from inside."""
    seen = workers or (worker(),)
    shares = cpu if isinstance(cpu, tuple) else (cpu,) * len(seen)
    processes = tuple(
        GaugeSeries(series.pid, "target", (share,) * SLOTS, (1,) * SLOTS)
        for series, share in zip(seen, shares, strict=True)
    )
    stream = chosen.pop("stream", summary(duration_s=WINDOW_S, cpu_s_per_request=0.0001))
    only = trial(stream, connections={stream.name: 10}, new_connections={stream.name: 0})
    target = replace(only.target, watched_s=WINDOW_S, cores=tuple(range(len(seen))))
    usual = {
        "spec": asked(workers=len(seen)),
        "trials": (replace(only, target=target),),
        "streams": (stream,),
        "gauges": (Gauges(INTERVAL_S, processes, seen, held),),
        "validity": Validity(
            "valid", (), (Reason("client_cpu", "ok", "Client CPU 12 % of one core.", 0.12, 0.85),)
        ),
        "cpu_count": 4,
    }
    return Evidence(**{**usual, **chosen})


def cause_of(rule: str, seen: Evidence) -> Cause | None:
    """What one cause says of a run."""
    return CAUSES[rule].cause(seen)


def asked(workers: int | None = 1, users: int = 10, **target: Any) -> Spec:
    return spec(concurrency=users, duration_s=WINDOW_S, target=Target(workers=workers, **target))
