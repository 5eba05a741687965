"""The title of a run that was given none."""

from control_plane.domain.load_words import crowd_words
from control_plane.domain.spec import Spec, StopDuration


def title_of(spec: Spec, configuration: str) -> str:
    """`items, async, 100 users, uvicorn 1 worker`: what tells runs of one form apart."""
    stream = spec.workload.streams[0]
    stop = stream.stop
    until = (
        f"{stop.duration_s:g} s"
        if isinstance(stop, StopDuration)
        else f"{stop.requests:,} requests"
    )
    crowd = crowd_words(stream.load)
    return ", ".join([stream.name, spec.client.strategy, crowd, until, configuration])[:200]
