"""The bare responder on the wire, under the same guard as any target."""

import asyncio
import socket

import pytest

from control_plane.domain.spec import RESPONDER
from control_plane.targets.launch import start
from control_plane.targets.responder import MAX_HEAD_BYTES, RESPONSE, Responder
from tests.targets.site import Site

GET = b"GET /items/1 HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "answers"),
    [
        ((GET,), 1),
        ((GET, GET), 2),
        ((GET + GET + GET,), 3),
        ((GET[:20], GET[20:]), 1),
        ((GET[:-2], GET[-2:] + GET[:9], GET[9:]), 2),
    ],
    ids=["one", "kept alive", "pipelined", "cut in the head", "cut in its end"],
)
async def test_every_head_gets_one_answer(
    site: Site, pieces: tuple[bytes, ...], answers: int
) -> None:
    target = await start(RESPONDER, instance=site.instance, cores=None, state_dir=site.state_dir)
    try:
        with socket.create_connection((target.host, target.port), timeout=5) as connection:
            for piece in pieces:
                connection.sendall(piece)
            wanted = RESPONSE * answers
            assert b"".join(iter_bytes(connection, len(wanted))) == wanted
    finally:
        await target.stop()
    site.assert_gone()


async def test_a_head_that_does_not_end_ends_its_connection_alone() -> None:
    server = await asyncio.get_running_loop().create_server(Responder, "127.0.0.1", 0)
    async with server, asyncio.timeout(10):
        address = server.sockets[0].getsockname()
        links = [await asyncio.open_connection(*address) for _ in range(2)]
        (endless, sends), (answers, asks) = links
        asks.write(GET[:20])
        sends.write(GET)
        assert await endless.readexactly(len(RESPONSE)) == RESPONSE
        sends.write(b"x" * (MAX_HEAD_BYTES + 1))
        assert await endless.read() == b""
        asks.write(GET[20:] + GET)
        assert await answers.readexactly(2 * len(RESPONSE)) == 2 * RESPONSE
        for _, writer in links:
            writer.close()
            await writer.wait_closed()


def iter_bytes(connection: socket.socket, count: int):
    """What comes, until `count` bytes are there."""
    while count > 0:
        piece = connection.recv(count)
        assert piece, "the connection ended"
        count -= len(piece)
        yield piece
