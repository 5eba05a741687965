"""The guards around a whole application, its own error pages included."""

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse

from control_plane.access import add_guards, route_roles
from control_plane.access.body_limit import MAX_BODY_BYTES, MAX_SPEC_BYTES
from control_plane.access.headers import CONTENT_SECURITY_POLICY, SECURITY_HEADERS
from tests.access.asgi_request import OWN, request

POLICY = {
    "public": ("GET /healthz",),
    "viewer": ("GET /", "GET /broken", "GET /refused", "GET /weak"),
    "operator": ("POST /echo", "POST /runs/new/pasted", "POST /deaf"),
}


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
    add_guards(made, ["127.0.0.1"])
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
        add_guards(app, [])


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
