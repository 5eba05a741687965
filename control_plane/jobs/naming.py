"""The title of a run that was given none."""

from control_plane.domain.spec import Burst, Spec, StopDuration, concurrency_of


def title_of(spec: Spec, configuration: str) -> str:
    """`items, async, 100 users, uvicorn 1 worker`: what tells runs of one form apart."""
    stream = spec.workload.streams[0]
    load = stream.load
    users = concurrency_of(load)
    crowd = f"burst over {users}" if isinstance(load, Burst) else _plural(users, "user")
    stop = stream.stop
    until = (
        f"{stop.duration_s:g} s"
        if isinstance(stop, StopDuration)
        else f"{stop.requests:,} requests"
    )
    return ", ".join([stream.name, spec.client.strategy, crowd, until, configuration])[:200]


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
