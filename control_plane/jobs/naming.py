"""What a run is called that was given no title, and what its configuration is called."""

from control_plane.domain.load_words import crowd_words
from control_plane.domain.spec import BUNDLED, Spec, StopDuration


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


def called(configuration: str, application: str | None) -> str:
    """`my fast`; where it serves another application than the bundled one, `shop, my fast`."""
    return configuration if application in {None, BUNDLED} else f"{application}, {configuration}"
