"""Responses are compressed for those who accept it, where that gains much and disturbs nothing."""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2
import pytest
from starlette.types import Message, Receive, Scope, Send

from control_plane.access.compression import (
    LEAST_COMPRESSED_BYTES,
    CompressionMiddleware,
    StaticAssets,
)
from tests.access.asgi_request import OWN, Headers, Response, request
from tests.dashboard import BARE, Dashboard
from tests.in_process import in_process

GZIP = [*OWN, ("accept-encoding", "gzip, deflate, br")]
TEXT = b"<p>Looplab</p>" * 1_000


class Page:
    """An application that sends one body in the given parts, with some headers."""

    def __init__(
        self, *parts: bytes, status: int = 200, kind: str = "text/html", **headers: str
    ) -> None:
        self._parts, self._status = parts, status
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        size = {"content-length": str(sum(map(len, parts)))}
        self._headers = {"content-type": kind, **size, **named}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = [(name.encode(), value.encode()) for name, value in self._headers.items()]
        await send({"type": "http.response.start", "status": self._status, "headers": raw})
        for at, part in enumerate(self._parts, start=1):
            more = at < len(self._parts)
            await send({"type": "http.response.body", "body": part, "more_body": more})


async def sent(page: Page, headers: Headers = GZIP, *, busy: bool = False) -> Response:
    return await request(CompressionMiddleware(page, lambda _: busy), "GET", "/", headers)


async def test_a_text_is_compressed_for_those_who_accept_it() -> None:
    response = await sent(Page(TEXT))
    assert gzip.decompress(response.body) == TEXT
    assert response.values("content-encoding") == ["gzip"]
    assert response.values("content-length") == [str(len(response.body))]
    assert response.values("vary") == ["Accept-Encoding"]


@pytest.mark.parametrize(
    "accepted", [None, "", "br", "identity", "gzip;q=0", "gzip; q=0.000, *", "*;q=0"], ids=str
)
async def test_who_does_not_accept_it_gets_it_as_it_is(accepted: str | None) -> None:
    headers = OWN if accepted is None else [*OWN, ("accept-encoding", accepted)]
    response = await sent(Page(TEXT), headers)
    assert response.body == TEXT
    assert response.values("content-encoding") == []
    assert response.values("content-length") == [str(len(TEXT))]
    assert response.values("vary") == ["Accept-Encoding"]


@pytest.mark.parametrize("accepted", ["gzip", "br, GZIP;q=0.5", "*", "gzip, *;q=0"])
async def test_who_accepts_it_says_so_in_many_ways(accepted: str) -> None:
    response = await sent(Page(TEXT), [*OWN, ("accept-encoding", accepted)])
    assert response.values("content-encoding") == ["gzip"]


@pytest.mark.parametrize(
    "page",
    [
        Page(TEXT[: LEAST_COMPRESSED_BYTES - 1]),
        Page(TEXT, kind="application/vnd.sqlite3"),
        Page(TEXT, kind="image/png"),
        Page(TEXT, kind="text/event-stream"),
        Page(TEXT, content_encoding="br"),
        Page(TEXT, status=206),
        Page(TEXT, cache_control="private, No-Transform"),
    ],
    ids=["small", "bundle", "picture", "events", "encoded", "part", "not to be transformed"],
)
async def test_what_gains_nothing_or_may_not_be_changed_stays(page: Page) -> None:
    response = await sent(page)
    assert TEXT.startswith(response.body)
    assert "gzip" not in response.values("content-encoding")
    assert response.values("content-length") == [str(len(response.body))]


async def test_nothing_is_compressed_while_a_run_has_load() -> None:
    response = await sent(Page(TEXT), busy=True)
    assert response.body == TEXT
    assert response.values("vary") == ["Accept-Encoding"]


@pytest.mark.parametrize("kind", ["text/html", "text/event-stream"])
async def test_each_part_of_a_stream_can_be_read_when_it_is_sent(kind: str) -> None:
    arrived = bytearray()
    unpacked = zlib.decompressobj(31)

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", kind.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number in range(3):
            part = b"data: %d\n\n" % number
            await send({"type": "http.response.body", "body": part, "more_body": True})
            assert arrived.endswith(part)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        body = message.get("body", b"")
        arrived.extend(body if kind == "text/event-stream" else unpacked.decompress(body))

    scope = {
        "type": "http", "path": "/", "headers": [(b"accept-encoding", b"gzip")]
    }  # fmt: skip
    await CompressionMiddleware(stream, lambda _: False)(scope, receive, send)
    assert arrived.count(b"data") == 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.js").write_bytes(TEXT)
    (tmp_path / "small.css").write_bytes(b"p {}")
    (tmp_path / "picture.png").write_bytes(TEXT)
    return tmp_path


async def file_of(assets: StaticAssets, name: str, *headers: tuple[str, str]) -> Response:
    return await request(assets, "GET", f"/{name}", [*GZIP, *headers])


def idle(_scope: Scope) -> bool:
    return False


async def test_a_file_is_compressed_once_and_again_when_it_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = StaticAssets(folder, idle)
    first = await file_of(assets, "page.js")
    assert gzip.decompress(first.body) == TEXT
    assert first.values("content-encoding") == ["gzip"]
    assert first.values("content-length") == [str(len(first.body))]
    assert first.values("vary") == ["Accept-Encoding"]
    with monkeypatch.context() as patched:
        patched.setattr(gzip, "compress", None)
        assert (await file_of(assets, "page.js")).body == first.body
    (folder / "page.js").write_bytes(2 * TEXT)
    second = await file_of(assets, "page.js")
    assert gzip.decompress(second.body) == 2 * TEXT
    assert second.values("etag") != first.values("etag")


async def test_both_variants_of_a_file_have_a_tag_of_their_own_that_is_known_again(
    folder: Path,
) -> None:
    assets = StaticAssets(folder, idle)
    packed = await file_of(assets, "page.js")
    plain = await request(assets, "GET", "/page.js", OWN)
    assert (plain.body, plain.values("vary")) == (TEXT, ["Accept-Encoding"])
    tags = packed.values("etag") + plain.values("etag")
    assert len(set(tags)) == 2
    for tag, headers in zip(tags, (GZIP, OWN), strict=True):
        again = await request(assets, "GET", "/page.js", [*headers, ("if-none-match", tag)])
        assert (again.status, again.body) == (304, b"")
        assert again.values("etag") == [tag]
        assert again.values("vary") == ["Accept-Encoding"]
    other = await request(assets, "GET", "/page.js", [*OWN, ("if-none-match", tags[0])])
    assert (other.status, other.body) == (200, TEXT)
    since = ("if-modified-since", plain.values("last-modified")[0])
    assert (await file_of(assets, "page.js", since)).status == 304


async def test_a_part_of_a_file_is_one_of_the_file_as_it_is(folder: Path) -> None:
    part = await file_of(StaticAssets(folder, idle), "page.js", ("range", "bytes=3-9"))
    assert (part.status, part.body) == (206, TEXT[3:10])
    assert part.values("content-encoding") == []


@pytest.mark.parametrize("name", ["small.css", "picture.png"])
async def test_small_files_and_pictures_stay(folder: Path, name: str) -> None:
    response = await file_of(StaticAssets(folder, idle), name)
    assert response.body == (folder / name).read_bytes()
    assert response.values("content-encoding") == []


async def test_a_file_that_is_not_kept_yet_is_not_compressed_while_a_run_has_load(
    folder: Path,
) -> None:
    load = [True]
    assets = StaticAssets(folder, lambda _: load[0])
    assert (await file_of(assets, "page.js")).body == TEXT
    load[0] = False
    kept = await file_of(assets, "page.js")
    load[0] = True
    assert (await file_of(assets, "page.js")).body == kept.body != TEXT


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with in_process(tmp_path_factory.mktemp("compression")) as dashboard:
        yield dashboard


def encoding(response: httpx2.Response) -> str | None:
    assert response.status_code < 500
    return response.headers.get("content-encoding")


@pytest.mark.parametrize("path", ["/", "/static/js/page.js", "/openapi.json", "/nowhere"])
def test_pages_files_and_errors_are_compressed_and_head_says_the_same(
    looplab: Dashboard, path: str
) -> None:
    assert encoding(looplab.get(path)) == "gzip"
    assert encoding(looplab.get(path, headers={"Accept-Encoding": "identity"})) is None
    head, get = looplab.client.head(path), looplab.get(path)
    assert head.content == b""
    for name in ("content-encoding", "vary", "content-type", "etag"):
        assert head.headers.get(name) == get.headers.get(name)


def test_a_watched_run_costs_no_compression(looplab: Dashboard) -> None:
    stream: Mapping[str, object] = {
        "name": "s",
        "requests": [{"path": "/"}],
        "load": {"model": "closed", "concurrency": 1, "think_time_s": 0.02},
        "stop": {"duration_s": 2},
    }
    run_id = looplab.submit({**BARE, "workload": {"streams": [stream]}, "warmup_s": 0})
    page = f"/runs/{run_id}"
    looplab.until_state(run_id, {"running"})
    assert encoding(looplab.get(page)) is None
    looplab.finished(run_id)
    assert encoding(looplab.get(page)) == "gzip"
