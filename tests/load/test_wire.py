"""Every strategy sends the same bytes: those of the spec."""

import asyncio

import pytest

from control_plane.domain.client_strategies import STRATEGIES
from tests.load.closing_driver import driven
from tests.load.wire import (
    ON_NEW,
    SHOWN,
    RecordingServer,
    body_of,
    documented_heads,
    head_of,
    recording_server,
    request_classes,
    shown_row,
)

REQUESTS = 600
"""So many that each request class is drawn; the seed makes it the same each time."""

HOST = "shop.example"
"""What is sent on new connections in place of the address."""

Sent = tuple[set[bytes], set[bytes]]
"""The requests that a server received, byte for byte, and those that it should have received."""


@pytest.fixture(scope="module")
def found() -> dict[str, list[Sent]]:
    """Return by strategy what it sent on kept and on new connections."""
    return asyncio.run(_all())


async def _all() -> dict[str, list[Sent]]:
    found = await asyncio.gather(*map(_driven, STRATEGIES))
    return dict(zip(STRATEGIES, found, strict=True))


async def _driven(strategy: str) -> list[Sent]:
    """In one process: on kept connections, then on new ones."""
    classes, stop = request_classes(), {"requests": REQUESTS}
    with recording_server() as kept, recording_server() as new:
        cases = [
            (
                server.url,
                {
                    "requests": classes,
                    "stop": stop,
                    "load": {"model": "closed", "concurrency": 1},
                    "client": {"strategy": strategy, "reuse_connections": server is kept},
                    "host": "" if server is kept else HOST,
                },
            )
            for server in (kept, new)
        ]
        results = await driven(strategy, cases)
        for server, result in zip((kept, new), results, strict=True):
            assert result["completed"] == len(server.seen) == REQUESTS, (strategy, result)
            assert result["new_connections"] == (1 if server is kept else REQUESTS), strategy
        return [
            ({head + body for head, body in server.seen}, _expected(server, kept=server is kept))
            for server in (kept, new)
        ]


def _expected(server: RecordingServer, *, kept: bool) -> set[bytes]:
    host = server.url.removeprefix("http://") if kept else HOST
    generated = next(body for head, body in server.seen if b" /generated " in head)
    return {
        head_of(request, host, body, kept=kept) + body
        for request in request_classes()
        for body in [body_of(request, generated)]
    }


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "new"])
def test_every_strategy_sends_the_bytes_of_the_spec(
    found: dict[str, list[Sent]], strategy: str, *, kept: bool
) -> None:
    sent, expected = found[strategy][0 if kept else 1]
    assert sorted(sent - expected) == []
    assert sorted(expected - sent) == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_document_shows_what_a_socket_receives(
    found: dict[str, list[Sent]], strategy: str
) -> None:
    kept, new = (sent for sent, _ in found[strategy])
    rows = [shown_row(path, new if path in ON_NEW else kept) for path in SHOWN]
    assert rows == documented_heads()
