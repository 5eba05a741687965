"""Request classes picked from an OpenAPI document, as a browser without script does it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.builders import own
from tests.dashboard import BARE, Dashboard, items_spec, long_spec
from tests.html import read_html
from tests.in_process import in_process
from tests.pages.form_page import Pairs, changed, form_of_page, quick_run, send, wrong

READ, PICKED = "/runs/new/offer", "/runs/new/picked"
STREAM = "workload.streams.0.requests"


class Served(BaseHTTPRequestHandler):
    """Answers as the first part of the path of its server says."""

    def do_GET(self) -> None:
        status, body = ANSWERS[getattr(self.server, "answers", "")]
        if getattr(self.server, "answers", "") == "litestar" and self.path == "/openapi.json":
            status, body = ANSWERS["missing"]
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base
        """Nothing."""


XSS = "<script>alert(1)</script>"
SMALL: dict[str, Any] = {
    "paths": {"/things/{n}": {"get": {"summary": XSS}, "delete": {}}, "/x y": {"get": {}}}
}
ANSWERS = {
    "small": (200, json.dumps(SMALL).encode()),
    "litestar": (200, json.dumps(SMALL).encode()),
    "missing": (404, b"no"),
    "redirect": (302, b""),
    "deep": (200, b'{"a":' * 50_000),
    "huge": (200, b" " * 5_000_000),
    "list": (200, b"[]"),
}


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("offer")
    with in_process(folder, own.project(folder)) as started:
        yield started


@pytest.fixture
def running() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Served)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def blank(looplab: Dashboard, query: str = "") -> Pairs:
    return form_of_page(looplab.get(f"/runs/new{query}").text, "/runs")


def offered(page: str) -> list[str]:
    """The operations that can be picked, as the form names them."""
    boxes = [box.attributes for box in read_html(page).by_role("checkbox")]
    return [box["value"] for box in boxes if box["name"] == "pick"]


def asked(looplab: Dashboard, answers: str, server: ThreadingHTTPServer) -> tuple[int, str]:
    server.answers = answers  # type: ignore[attr-defined] # read by its handler
    url = f"http://127.0.0.1:{server.server_address[1]}"
    pairs = changed(blank(looplab), target="url", target__url=url)
    answer = send(looplab, READ, pairs)
    return answer.status_code, answer.text


def test_an_application_is_started_for_its_list_and_ended(looplab: Dashboard) -> None:
    answer = send(looplab, READ, changed(blank(looplab, "?application=shop"), title="kept"))
    assert answer.status_code == 200
    assert set(offered(answer.text)) >= {"GET /items/{item_id}", "POST /items/"}
    pairs = form_of_page(answer.text, "/runs")
    assert ("title", "kept") in pairs
    picked = send(looplab, PICKED, [*pairs, ("pick", "GET /items/{item_id}"), ("how", "replace")])
    assert picked.status_code == 200
    made = dict(form_of_page(picked.text, "/runs"))
    assert made[f"{STREAM}.0.path"] == "/items/{item_id}"
    assert made[f"{STREAM}.0.values.item_id.high"] == "1000"
    assert f"{STREAM}.1.path" not in made
    run = quick_run(looplab, form_of_page(picked.text, "/runs"))
    assert run["streams"][0]["completed"] > 0
    assert run["streams"][0]["errors"] == {}


def test_what_writes_needs_its_own_tick(looplab: Dashboard) -> None:
    page = send(looplab, READ, blank(looplab, "?application=shop")).text
    pairs = [*form_of_page(page, "/runs"), ("pick", "POST /items/"), ("how", "add")]
    refused = send(looplab, PICKED, pairs)
    assert refused.status_code == 422
    assert "Load on POST /items/ will write" in wrong(refused.text)["pick.writes"]
    assert f"{STREAM}.1.path" not in dict(form_of_page(refused.text, "/runs"))
    assert ("pick", "POST /items/") in form_of_page(refused.text, "/runs")
    made = send(looplab, PICKED, [*pairs, ("pick.writes", "on")])
    assert made.status_code == 200
    fields = dict(form_of_page(made.text, "/runs"))
    assert (fields[f"{STREAM}.1.method"], fields[f"{STREAM}.1.path"]) == (
        "POST", "/items/?name={name}",
    )  # fmt: skip


@pytest.mark.parametrize("pick", ["", "GET /nowhere", "../../etc", "\0"])
def test_a_pick_that_is_not_on_the_list_is_refused(looplab: Dashboard, pick: str) -> None:
    answer = send(looplab, PICKED, [*blank(looplab), ("pick", pick)])
    assert (answer.status_code, list(wrong(answer.text))) == (422, ["pick"])


def test_a_running_server_is_asked_and_nothing_of_it_is_trusted(
    looplab: Dashboard, running: ThreadingHTTPServer
) -> None:
    for answers in ("litestar", "small"):
        status, page = asked(looplab, answers, running)
        assert (status, offered(page)) == (
            200, ["GET /things/{n}", "DELETE /things/{n}", "GET /x y"],
        )  # fmt: skip
    assert XSS not in page
    assert "Write spaces and special signs percent-encoded" in page
    for answers, words in (
        ("missing", "GET /openapi.json answers 404, GET /schema/openapi.json answers 404: "),
        ("redirect", "GET /openapi.json answers 302"),
        ("deep", "not readable JSON"),
        ("huge", "above 4,000,000 bytes"),
        ("list", "not an OpenAPI document"),
    ):
        status, page = asked(looplab, answers, running)
        assert status == 422
        assert words in wrong(page)["picking"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com", "not on this machine"),
        ("file:///etc/passwd", "Give scheme and host"),
        ("OWN", "this dashboard"),
        ("http://127.0.0.1:1", "Nothing listens"),
    ],
)
def test_only_servers_of_this_machine_are_asked(looplab: Dashboard, url: str, words: str) -> None:
    chosen = looplab.url if url == "OWN" else url
    pairs = changed(blank(looplab), target="url", target__url=chosen)
    answer = send(looplab, READ, pairs)
    assert answer.status_code == 422
    assert words in wrong(answer.text)["picking"]


def test_an_application_that_does_not_start_or_answer_says_why(
    looplab: Dashboard,
) -> None:
    answer = send(looplab, READ, changed(blank(looplab), target="gone"))
    assert "There is no application" in wrong(answer.text)["picking"]
    answer = send(looplab, READ, changed(blank(looplab), target="plain"))
    assert "not readable JSON" in wrong(answer.text)["picking"]


def test_not_while_a_run_measures(looplab: Dashboard) -> None:
    run_id = looplab.submit(long_spec(**BARE))
    looplab.until_state(run_id, {"running"})
    answer = send(looplab, READ, blank(looplab))
    assert answer.status_code == 409
    assert "A run measures now" in wrong(answer.text)["picking"]
    looplab.post(f"/api/runs/{run_id}/cancel")


def test_a_spec_needs_no_tick(looplab: Dashboard) -> None:
    spec = items_spec(target={"application": "shop"})
    spec["workload"]["streams"][0]["requests"] = [{"method": "POST", "path": "/items/?name=x"}]
    assert looplab.finished(looplab.submit(spec))["streams"][0]["errors"] == {}


def test_the_list_of_the_bundled_application_stays_in_the_form(looplab: Dashboard) -> None:
    page = send(looplab, READ, changed(blank(looplab), target="bundled")).text
    assert "GET /movies/{id}" in offered(page)
    assert "GET /movies/{id}" in offered(looplab.get("/runs/new?preset=items").text)
    assert offered(looplab.get("/runs/new?application=plain").text) == []
