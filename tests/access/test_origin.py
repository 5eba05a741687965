"""Where a change comes from. The table follows the tests of Go's CrossOriginProtection."""

import pytest

from control_plane.access.origin import OriginMiddleware
from tests.access.asgi_request import OWN, Headers, Recorder, request

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
