"""Of which servers the connections tell of answers."""

from typing import Any

import pytest
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from control_plane.targets.inside.looplab_probe.asgi_counter import watch_connections


async def app(scope: Any, receive: Any, send: Any) -> None:
    del scope, receive, send


class Own(H11Protocol):
    """Of somebody who may have changed whatever they liked."""


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"http": "h11"}, True),
        ({"http": "httptools"}, True),
        ({"http": "h11", "limit_concurrency": 5}, False),
        ({"http": Own}, False),
    ],
    ids=["h11", "httptools", "answers 503 itself", "another kind"],
)
def test_told_by_connections_that_are_known(options: dict[str, Any], told: bool) -> None:
    config = Config(app, **options)
    config.load()
    assert bool(watch_connections(config)) == told


def test_a_server_without_such_connections_has_none() -> None:
    assert not watch_connections(object())


def test_connections_are_watched_once() -> None:
    config = Config(app, http="h11")
    config.load()
    watch_connections(config)
    watched = H11Protocol.connection_lost
    watch_connections(config)
    assert H11Protocol.connection_lost is watched
