"""What stands around a whole application, its own error pages included.

The table of origins follows the tests of CrossOriginProtection in Go."""

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.types import Message

from control_plane.access import add_guards, route_roles
from control_plane.access.http_errors import error_response
from control_plane.access.middleware import (
    CONTENT_SECURITY_POLICY,
    MAX_BODY_BYTES,
    MAX_SPEC_BYTES,
    SECURITY_HEADERS,
    HostMiddleware,
    OriginMiddleware,
)
from tests.access.asgi_request import OWN, Headers, Recorder, request

POLICY = {
    "public": ("GET /healthz",),
    "viewer": ("GET /", "GET /broken", "GET /refused", "GET /weak"),
    "operator": ("POST /echo", "POST /runs/new/pasted", "POST /deaf"),
}


def guard(app: FastAPI, *names: str) -> None:
    """Put the guards around an application that asks for no login and measures nothing."""
    add_guards(
        app, names, None, lambda _, status, told: error_response(status, told), lambda _: False
    )


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    made = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @made.get("/")
    def home() -> str:
        return "home"

    @made.get("/broken")
    def broken() -> None:
        raise ZeroDivisionError

    @made.get("/refused")
    def refused() -> None:
        raise HTTPException(409, "no")

    @made.get("/weak")
    def weak() -> PlainTextResponse:
        return PlainTextResponse("", headers={"Content-Security-Policy": "default-src *"})

    @made.post("/runs/new/pasted")
    @made.post("/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    @made.post("/deaf")
    def deaf() -> str:
        return "changed"

    def internal(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "internal"}, 500)

    made.add_exception_handler(Exception, internal)
    monkeypatch.setattr(route_roles, "ROUTES", POLICY)
    guard(made, "127.0.0.1")
    return made


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", OWN, 200),
        ("GET", "/weak", OWN, 200),
        ("GET", "/nowhere", OWN, 404),
        ("DELETE", "/", OWN, 405),
        ("GET", "/refused", OWN, 409),
        ("GET", "/broken", OWN, 500),
        ("GET", "/", [("host", "example.com")], 400),
        ("POST", "/echo", [*OWN, ("origin", "http://example.com")], 403),
        ("POST", "/echo", [*OWN, ("content-length", "99999999")], 413),
    ],
    ids=str,
)
async def test_every_answer_carries_the_headers_once(
    app: FastAPI, method: str, path: str, headers, status: int
) -> None:
    answer = await request(app, method, path, headers)
    assert answer.status == status
    for name, value in SECURITY_HEADERS.items():
        assert answer.values(name.decode()) == [value.decode()]


def test_the_policy_of_pages_allows_no_inline_script_or_foreign_source() -> None:
    rules = dict(rule.split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split("; "))
    assert rules.pop("img-src") == "'self' data:"
    assert set(rules.values()) <= {"'self'", "'none'"}
    assert {"default-src", "frame-ancestors", "base-uri"} <= {
        name for name, value in rules.items() if value == "'none'"
    }


@pytest.mark.parametrize(
    ("path", "size"),
    [("/echo", 0), ("/echo", 1), ("/echo", MAX_BODY_BYTES), ("/runs/new/pasted", MAX_SPEC_BYTES)],
)
async def test_a_body_up_to_the_limit_arrives(app: FastAPI, path: str, size: int) -> None:
    for headers in (OWN, [*OWN, ("content-length", str(size))]):
        answer = await request(app, "POST", path, headers, [b"x" * size])
        assert (answer.status, answer.body) == (200, str(size).encode())


async def test_an_announced_body_above_the_limit_changes_nothing(app: FastAPI) -> None:
    for size in (str(MAX_BODY_BYTES + 1), "9" * 5_000):
        answer = await request(app, "POST", "/deaf", [*OWN, ("content-length", size)])
        assert "2,000,000" in answer.refused(413, "too_large")
    headers = [*OWN, ("content-length", str(MAX_SPEC_BYTES + 1))]
    answer = await request(app, "POST", "/runs/new/pasted", headers)
    assert "16,000,000" in answer.refused(413, "too_large")


async def test_an_unannounced_body_is_cut_off(app: FastAPI) -> None:
    for path, limit in (("/echo", MAX_BODY_BYTES), ("/runs/new/pasted", MAX_SPEC_BYTES)):
        answer = await request(app, "POST", path, OWN, [b"x" * limit, b"x"])
        assert answer.status == 413


def test_a_route_without_a_role_is_not_served(app: FastAPI) -> None:
    @app.get("/forgotten")
    def forgotten() -> None: ...

    with pytest.raises(LookupError, match="GET /forgotten"):
        guard(app)


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/refused", 409), ("/broken", 500), ("/echo", 405)]
)
async def test_head_is_answered_as_get_without_its_body(
    app: FastAPI, path: str, status: int
) -> None:
    head = await request(app, "HEAD", path, OWN)
    get = await request(app, "GET", path, OWN)
    assert (head.status, head.body) == (status, b"")
    assert head.headers == get.headers


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1:8200", "127.0.0.1:1", "localhost", "LocalHost:8200", "[::1]",
        "[::1]:8200", "127.0.0.5:8200", "bench.example", "BENCH.example:443",
    ],
)  # fmt: skip
async def test_own_names_with_any_port_pass(host: str) -> None:
    inside = Recorder()
    guard = HostMiddleware(inside, ["127.0.0.5", "bench.example"])
    assert (await request(guard, headers=[("host", host)])).status == 200
    assert inside.reached == 1


async def test_an_ipv6_address_to_listen_on_is_bracketed() -> None:
    inside = Recorder()
    guard = HostMiddleware(inside, ["::2"])
    assert (await request(guard, headers=[("host", "[::2]:8200")])).status == 200
    assert (await request(guard, headers=[("host", "::2")])).status == 400


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("host", "")],
        [("host", "example.com")],
        [("host", "127.0.0.1.example.com")],
        [("host", "example.com:8200")],
        [("host", "localhost.")],
        [("host", "127.0.0.1:")],
        [("host", "127.0.0.1:80:80")],
        [("host", "127.0.0.1:999999")],
        [("host", "127.0.0.1 ")],
        [("host", "127.0.0.1, example.com")],
        [("host", "user@127.0.0.1")],
        [("host", "127.0.0.1/x")],
        [("host", "http://127.0.0.1")],
        [("host", "0.0.0.0")],
        [("host", "2130706433")],
        [("host", "127.1")],
        [("host", "[::ffff:127.0.0.1]")],
        [("host", "127.0.0.1\xe9")],
        [("host", "127.0.0.1"), ("host", "127.0.0.1")],
        [("host", "127.0.0.1"), ("host", "example.com")],
        [("host", "example.com"), ("x-forwarded-host", "127.0.0.1")],
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_other_names_never_reach_a_route(headers: Headers, method: str) -> None:
    inside = Recorder()
    answer = await request(HostMiddleware(inside, []), method, headers=headers)
    assert answer.refused(400, "unreadable")
    assert inside.reached == 0


async def test_a_long_name_is_not_repeated_in_full() -> None:
    answer = await request(HostMiddleware(Recorder(), []), headers=[("host", "a" * 60_000)])
    assert len(answer.refused(400, "unreadable")) < 300


async def test_web_sockets_are_closed_and_the_lifespan_passes() -> None:
    sent: list[Message] = []
    inside = Recorder()

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    guard = HostMiddleware(inside, [])
    await guard({"type": "websocket", "headers": [(b"host", b"127.0.0.1")]}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert inside.reached == 0
    await guard({"type": "lifespan"}, receive, send)
    assert inside.reached == 1


SITE = "sec-fetch-site"


@pytest.mark.parametrize(
    ("method", "headers", "passes"),
    [
        ("POST", [(SITE, "same-origin")], True),
        ("POST", [(SITE, "none")], True),
        ("POST", [(SITE, "cross-site")], False),
        ("POST", [(SITE, "same-site")], False),
        ("POST", [(SITE, "")], False),
        ("POST", [(SITE, "Same-Origin")], False),
        ("POST", [(SITE, "same-origin"), (SITE, "cross-site")], False),
        ("POST", [(SITE, "same-origin"), ("origin", "http://example.com")], True),
        ("POST", [(SITE, "cross-site"), ("origin", "http://127.0.0.1:8200")], False),
        ("POST", [], True),
        ("POST", [("origin", "http://127.0.0.1:8200")], True),
        ("POST", [("origin", "https://127.0.0.1:8200")], True),
        ("POST", [("origin", "HTTP://127.0.0.1:8200")], True),
        ("POST", [("origin", "http://127.0.0.1")], False),
        ("POST", [("origin", "http://127.0.0.1:8201")], False),
        ("POST", [("origin", "http://localhost:8200")], False),
        ("POST", [("origin", "http://example.com")], False),
        ("POST", [("origin", "http://127.0.0.1:8200.example.com")], False),
        ("POST", [("origin", "http://x@127.0.0.1:8200")], False),
        ("POST", [("origin", "null")], False),
        ("POST", [("origin", "")], False),
        ("POST", [("origin", "http://[")], False),
        ("POST", [("origin", "http://127.0.0.1:8200"), ("origin", "http://a")], False),
        ("GET", [(SITE, "cross-site")], True),
        ("HEAD", [(SITE, "cross-site")], True),
        ("OPTIONS", [(SITE, "cross-site")], True),
        ("GET", [("origin", "http://example.com")], True),
        ("PUT", [(SITE, "cross-site")], False),
        ("PATCH", [(SITE, "cross-site")], False),
        ("DELETE", [("origin", "null")], False),
        ("get", [(SITE, "cross-site")], False),
        ("TRACE", [(SITE, "cross-site")], False),
    ],
    ids=str,
)
async def test_only_own_pages_and_programs_change_things(
    method: str, headers: Headers, passes: bool
) -> None:
    inside = Recorder()
    answer = await request(OriginMiddleware(inside), method, headers=[*OWN, *headers])
    assert inside.reached == passes
    if passes:
        assert answer.status == 200
    else:
        assert answer.refused(403, "forbidden")


@pytest.mark.parametrize(
    ("path", "allow"), [("/", "GET, HEAD, OPTIONS"), ("/echo", "OPTIONS, POST"), ("/nowhere", "")]
)
async def test_options_tells_what_an_address_takes(app: FastAPI, path: str, allow: str) -> None:
    answer = await request(app, "OPTIONS", path, OWN)
    assert answer.status == (204 if allow else 404)
    assert answer.values("allow") == ([allow] if allow else [])


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("text/html", 200),
        ("image/png, text/*;q=0.1", 200),
        ("", 200),
        ("application/json", 406),
        ("text/html;q=0, application/json", 406),
        ("*/*;q=0.0", 406),
    ],
)
async def test_what_is_not_accepted_is_told(app: FastAPI, accept: str, status: int) -> None:
    answer = await request(app, "GET", "/", [*OWN, ("accept", accept)])
    assert answer.status == status
    if status == 406:
        assert "text/html" in answer.refused(406, "not_acceptable")
