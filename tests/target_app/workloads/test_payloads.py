import json
import socket
from collections.abc import Iterator

import httpx
import pytest

PATHS = ["/payloads/model", "/ping", "/payloads/stream", "/pong", "/payloads/thread"]
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def large() -> bytes:
    """5 MB: 250,000 pairs of a ten-letter key and an integer."""
    data = {f"{number:010d}".translate(LETTERS): number for number in range(250_000)}
    return json.dumps({"name": "large", "data": data}).encode()


LETTERS = str.maketrans("0123456789", "abcdefghij")


@pytest.mark.parametrize("path", PATHS)
def test_a_large_body_is_summed_up(client: httpx.Client, large: bytes, path: str) -> None:
    answer = client.post(path, content=large, headers=JSON)
    summary = answer.json()
    assert 0 < summary.pop("server_ms") <= answer.elapsed.total_seconds() * 1000
    assert summary == {
        "name": "large",
        "count": 250_000,
        "maximum": 249_999,
        "request_bytes": len(large),
    }


@pytest.mark.parametrize("path", PATHS)
def test_an_empty_object_has_no_maximum(client: httpx.Client, path: str) -> None:
    summary = client.post(path, json={"name": "empty", "data": {}}).json()
    assert (summary["count"], summary["maximum"]) == (0, None)


@pytest.mark.parametrize("path", PATHS)
def test_chunks_of_unknown_length_are_read(client: httpx.Client, path: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"name": "chunks", '
        yield b'"data": {"a": -2, "b": -1}}'

    summary = client.post(path, content=chunks(), headers=JSON).json()
    assert (summary["count"], summary["maximum"], summary["request_bytes"]) == (2, -1, 46)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body", ["", "{", '{"name": "a"}', '{"name": "a", "data": {"a": 1.5}}', "[1]"]
)
def test_a_wrong_body_is_refused(client: httpx.Client, path: str, body: str) -> None:
    assert client.post(path, content=body, headers=JSON).status_code == 422


@pytest.mark.parametrize("path", PATHS)
def test_more_than_64_mb_are_refused_unread(client: httpx.Client, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: target\r\nContent-Type: application/json\r\n"
    address = (client.base_url.host, client.base_url.port or 80)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(f"{head}Content-Length: 64000001\r\n\r\n".encode())
        assert connection.recv(1024).startswith(b"HTTP/1.1 413")
