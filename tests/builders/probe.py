"""Samples of the probe in a worker that does not exist."""

from control_plane.domain.observations import Stall, WorkerSeries
from tests.builders.records import Shape

PID = 41_877
INTERVAL_S = 0.5
APPLICATION = "/srv/looplab/target_app/workloads"
PACKAGES = "/srv/venv/lib/python3.11/site-packages"
BLOCKING_STACK = (
    f"{APPLICATION}/movies.py:53 look_up_blocking",
    f"{APPLICATION}/movies.py:80 movie_blocking",
    f"{PACKAGES}/fastapi/routing.py:335 run_endpoint_function",
    f"{PACKAGES}/starlette/routing.py:78 app",
    f"{PACKAGES}/uvicorn/protocols/http/httptools_impl.py:416 run_asgi",
    "/usr/lib/python3.11/asyncio/runners.py:118 run",
)
MODEL_STACK = (
    f"{PACKAGES}/pydantic/main.py:766 model_validate_json",
    f"{APPLICATION}/payloads.py:61 parse_model",
    *BLOCKING_STACK[2:],
)


def workers_of(shape: Shape, window_s: float) -> tuple[WorkerSeries, ...]:
    """Return the series of one worker, the same in every interval."""
    intervals = max(1, round(window_s / INTERVAL_S))
    lag_s = shape.stall_s if shape.blocked else 0.004
    waiting = round(shape.waiting)
    return (
        WorkerSeries(
            pid=PID,
            loop_lag_s=(lag_s,) * intervals,
            tokens_busy=(shape.threads if waiting else 0,) * intervals,
            tokens_waiting=(waiting,) * intervals,
            in_flight=(10,) * intervals,
            completed=(round(shape.rate_per_s * INTERVAL_S),) * intervals,
            gc_s=(0.002,) * intervals,
            tokens_total=shape.threads,
        ),
    )


def stalls_of(shape: Shape, window_s: float) -> tuple[Stall, ...]:
    """Return stalls for the share that the shape blocks the loop; each tenth parses a body."""
    count = round(shape.blocked * window_s / shape.stall_s)
    step_s = window_s / max(1, count)
    return tuple(
        Stall(PID, at * step_s, shape.stall_s, MODEL_STACK if at % 10 == 9 else BLOCKING_STACK)
        for at in range(count)
    )
