"""What a failed login tells: the cause, and neither what was captured nor a secret of the spec."""

import asyncio

import pytest

from control_plane.domain.errors import TargetFailed
from control_plane.domain.limits import Limits
from control_plane.domain.secrets import hide_spec
from control_plane.domain.spec_json import read_spec
from control_plane.jobs.before_requests import BeforeRequests
from control_plane.load.worker_protocol import Seeds

PASSWORD, TOKEN = "pass-of-ann-which-is-long", "SeCrEtTok3nOfSixtySigns" * 3
LOGIN = {
    "path": "/login?password={password}",
    "values": {
        "account": {
            "kind": "row",
            "file": {"name": "users.csv", "content": f"password\n{PASSWORD}\n"},
            "columns": ["password"],
        }
    },
    "capture": {"token": {"json": "token"}},
}
DOCUMENT = {
    "before": [LOGIN, {"path": "/te?x={token}"}],
    "workload": {
        "streams": [
            {
                "requests": [{"path": "/"}],
                "load": {"model": "closed", "concurrency": 1},
                "stop": {"requests": 1},
            }
        ]
    },
}
OK = b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"token": "%s"}' % TOKEN.encode()


@pytest.mark.parametrize("padding", [0, 80, 250, 290])
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nX\x01: %s\r\n\r\n", "Invalid header"),
        (b"HTTP/1.1 401 No\r\nConnection: close\r\n\r\n%s", "401, "),
        (b"HTTP/1.1 302 No\r\nLocation: /%s\r\n\r\n", "302, redirect (expect 302 where"),
    ],
    ids=["malformed", "refused", "redirected"],
)  # fmt: skip
async def test_secrets_stand_in_no_reason(answer: bytes, said: str, padding: int) -> None:
    """Wherever the answer repeats them, so that the reason would end in the middle of one."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        repeated = f"{'.' * padding}{asked}{PASSWORD}".encode()
        writer.write(OK if asked.startswith("/login") else answer % repeated)
        await writer.drain()
        writer.close()

    hidden = hide_spec(DOCUMENT, b"key")
    spec = read_spec(hidden.document, Limits())
    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(TargetFailed) as caught:
            await BeforeRequests(spec, hidden.values, Seeds.of(1), url, "").send()
    reason = str(caught.value)
    assert reason.startswith(f"GET /te?x={{token}} before the load: {said}")
    assert PASSWORD[:6] not in reason
    assert TOKEN[:6] not in reason
