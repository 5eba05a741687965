"""Check on New run: each request is sent once, to what a run would start."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from tests.dashboard import forked_dashboard
from tests.in_process import in_process
from tests.pages.form_page import changed, form_of_page, send
from tests.pages.stored import words
from tests.stalled_server import stalled_server

TOKEN = "s3cret-token-of-a-user"


class _Answers(BaseHTTPRequestHandler):
    """Redirects, sets a cookie, says nothing until the other leaves, or echoes, by path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path in {"/silent", "/broken"}:
            self.close_connection = True
            if self.path == "/silent":
                self.rfile.read(1)
            return
        length = int(self.headers.get("Content-Length") or 0)
        seen = {
            "path": self.path,
            "body": self.rfile.read(length).decode(),
            "authorization": self.headers.get("Authorization"),
            "cookie": self.headers.get("Cookie"),
        }
        away = self.path.startswith("/old")
        self.send_response(301 if away else 201)
        if away:
            self.send_header("Location", "/new?from=old")
        if self.path == "/session":
            self.send_header("Set-Cookie", "sid=7; Path=/")
        text = json.dumps(seen).encode()
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET  # noqa: N815 - as above

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def answering() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def checked(pairs, looplab) -> str:
    answer = send(looplab, "/runs/new", pairs)
    assert answer.status_code == 200
    return answer.text


def test_what_a_run_would_send_is_sent_once_and_its_answer_shown(
    tmp_path: Path, answering: str
) -> None:
    with in_process(tmp_path) as looplab:
        blank = form_of_page(looplab.get("/runs/new").text, "/runs")
        bundled = words(checked(blank, looplab))
        assert "The spec is right: 1 run" in bundled
        assert "GET /items/" in bundled
        assert "200 OK, " in bundled

        asked = changed(
            blank,
            target="url",
            target__url=answering,
            stream__requests__0__method="POST",
            stream__requests__0__path="/orders/{n}?a=%2f",
            stream__requests__0__headers=f"Authorization: Bearer {TOKEN}",
            stream__requests__0__body="json",
            stream__requests__0__body__json='{"of": "{n}"}',
            stream__requests__0__values__n__kind="integer",
            stream__requests__0__values__n__low="7",
            stream__requests__0__values__n__high="7",
        )
        page = checked(asked, looplab)
        said = words(page)
        assert "POST /orders/7?a=%2f 201 Created, " in said
        assert "Each would be an error" not in said
        assert r'"body": "{\"of\": 7}"' in said or r'"body": "{\"of\":7}"' in said
        assert TOKEN not in page.partition('id="tried"')[2].partition("</div>")[0]

        away = changed(blank, target="url", target__url=answering, stream__requests__0__path="/old")
        said = words(checked(away, looplab))
        assert "GET /old 301 Moved Permanently, " in said
        assert "to /new?from=old" in said
        assert "Each would be an error: 200 to 299 is expected." in said

        refused = changed(away, target__url="http://127.0.0.1:9")
        assert "127.0.0.1:9" in words(checked(refused, looplab)).partition("The spec is right")[2]
        assert looplab.get("/api/runs").json()["runs"] == []


def test_what_would_be_an_error_of_each_request_is_told(tmp_path: Path, answering: str) -> None:
    with in_process(tmp_path) as looplab:
        blank = form_of_page(looplab.get("/runs/new").text, "/runs")
        here = changed(blank, target="url", target__url=answering)

        def said(path: str, **changes: str) -> str:
            pairs = changed(here, stream__requests__0__path=path, timeout_s="0.3", **changes)
            return words(checked(pairs, looplab))

        silent = said("/silent")
        assert "GET /silent no answer within 0.3 s" in silent
        assert "Each would be a timeout." in silent
        broken = said("/broken")
        assert "GET /broken no answer: " in broken
        assert "Each would be an error." in broken
        other = said("/", stream__requests__0__expect__statuses="204 200")
        assert "Each would be an error: 200, 204 is expected." in other
        assert "Each would be an error" not in said(
            "/", stream__requests__0__expect__statuses="201"
        )
        unmet = said("/", stream__requests__0__expect__text="a canary")
        assert (
            "Each would be an error: the body does not hold the expected text 'a canary'" in unmet
        )


def test_a_request_has_the_cookies_that_those_before_it_set(tmp_path: Path, answering: str) -> None:
    with in_process(tmp_path) as looplab:
        blank = form_of_page(looplab.get("/runs/new").text, "/runs")
        added = checked([*blank, ("change", "add before")], looplab)
        here = changed(
            form_of_page(added, "/runs"),
            target="url",
            target__url=answering,
            stream__requests__0__path="/me",
            before__0__path="/session",
            before__0__body="none",
            before__0__capture="",
        )
        assert '"cookie": null' in words(checked(here, looplab))
        assert '"cookie": "sid=7"' in words(checked(changed(here, client__cookies="on"), looplab))


def test_a_look_of_a_form_is_given_up_for_its_next_and_not_for_that_of_another(
    tmp_path: Path,
) -> None:
    with (
        in_process(tmp_path) as looplab,
        stalled_server() as target,
        ThreadPoolExecutor() as people,
    ):
        form, other = (
            changed(
                form_of_page(looplab.get("/runs/new").text, "/runs"),
                target="url",
                target__url=target.url,
            )
            for _ in range(2)
        )
        first = people.submit(checked, form, looplab)
        assert target.requested.wait(10)
        assert "is being looked at: wait" in words(checked(other, looplab))
        assert send(looplab, "/runs/new/offer", other).status_code == 409
        assert not first.done()
        target.requested.clear()
        again = people.submit(checked, form, looplab)
        assert "or it was begun anew: check again" in words(first.result(10))
        assert target.requested.wait(10)
        target.released.set()
        assert "200 OK, " in words(again.result(10))


@pytest.mark.parametrize("path", ["/runs/new", "/runs/new/offer"])
def test_a_look_of_a_page_that_was_left_is_given_up_for_that_of_the_next(
    tmp_path: Path, path: str
) -> None:
    with forked_dashboard(tmp_path) as looplab, stalled_server() as target:
        left, again = (
            changed(
                form_of_page(looplab.get("/runs/new").text, "/runs"),
                target="url",
                target__url=target.url,
            )
            for _ in range(2)
        )
        asking = HTTPConnection(urlsplit(looplab.url).netloc, timeout=10)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        asking.request("POST", path, urlencode(left), kind)
        assert target.requested.wait(10)
        target.requested.clear()
        asking.close()
        with ThreadPoolExecutor() as people:
            shown = people.submit(checked, again, looplab)
            assert target.requested.wait(10)
            target.released.set()
            assert "200 OK, " in words(shown.result(10))
        assert "Traceback" not in (tmp_path / "looplab.log").read_text(encoding="utf-8")


API = """
import json

PATHS = {"/ping": {"get": {"summary": "Answers."}}}


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    found = {"/openapi.json": {"openapi": "3.1.0", "paths": PATHS}, "/ping": "pong"}
    answer = found.get(scope["path"])
    status = 200 if answer else 404
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
"""


def test_an_application_that_was_not_looked_at_offers_what_it_answers(tmp_path: Path) -> None:
    (tmp_path / "api.py").write_text(API, encoding="utf-8")
    config = tmp_path / "looplab.toml"
    config.write_text('[applications.shop]\napp = "api:app"\n', encoding="utf-8")
    with in_process(tmp_path, config) as looplab:
        home = form_of_page(looplab.get("/").text, "/runs")
        assert ("workload.streams.0.requests.0.path", "/") in home
        said = words(checked(home, looplab))
        assert "GET / 404 Not Found, " in said
        assert "Its OpenAPI document lists GET /ping: pick them in the form." in said
        again = form_of_page(looplab.get("/").text, "/runs")
        assert ("workload.streams.0.requests.0.path", "/ping") in again
        assert "GET /ping 200 OK, 6 B, application/json" in words(checked(again, looplab))
