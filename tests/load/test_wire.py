"""Every strategy sends the same bytes: those of the spec."""

import asyncio

import pytest

from control_plane.domain.client_strategies import STRATEGIES
from tests.load.wire import head_of, recording_server, request_classes
from tests.load.workers import completed, plan_of, record_of

REQUESTS = 700
"""So many that each request class is drawn; the seed makes it the same each time."""


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "new"])
async def test_every_strategy_sends_the_bytes_of_the_spec(*, kept: bool) -> None:
    seen = await asyncio.gather(*(sent(strategy, kept=kept) for strategy in STRATEGIES))
    for strategy, (got, expected) in zip(STRATEGIES, seen, strict=True):
        assert (strategy, sorted(got - expected)) == (strategy, [])
        assert (strategy, sorted(expected - got)) == (strategy, [])


async def sent(strategy: str, *, kept: bool) -> tuple[set[bytes], set[bytes]]:
    """Return the heads that a server received, and those that it should have received."""
    classes = request_classes()
    with recording_server() as server:
        plan = plan_of(
            server.url,
            requests=classes,
            client={"strategy": strategy, "reuse_connections": kept},
            stop={"requests": REQUESTS},
        )
        record = await record_of(plan)
    assert completed(record) == len(server.seen) == REQUESTS
    assert record.new_connections == (1 if kept else REQUESTS)
    host = server.url.removeprefix("http://")
    bodies = {head.split(b" ", 2)[1].decode(): body for head, body in server.seen if body}
    expected = {
        head_of(
            request, host, bodies.get(request["path"], b"") if "body" in request else b"", kept=kept
        )
        for request in classes
    }
    return {head for head, _ in server.seen}, expected
