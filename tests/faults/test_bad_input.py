"""The corpus of bad input: a readable refusal, and no row, process or file."""

from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.dashboard import Dashboard, dashboard, items_spec, marked
from tests.faults.corpus import BODIES, XSS, encoded, wrong_specs

SPECS = list(wrong_specs())
REFUSED = {400, 404, 409, 413, 415, 422}


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("corpus")
    with dashboard(folder) as started:
        yield started
        assert started.get("/api/runs").json()["runs"] == []
        assert marked(started.instance) == []
        assert {path.name.partition("runs.db")[1] or path.name for path in folder.iterdir()} == {
            "runs.db",
            "looplab.log",
        }
        assert "Traceback" not in (folder / "looplab.log").read_text()


def post(looplab: Dashboard, body: bytes, kind: str = "application/json") -> Any:
    return looplab.client.post("/api/runs", content=body, headers={"Content-Type": kind})


def test_the_corpus_is_large() -> None:
    assert len(SPECS) + len(BODIES) + len(XSS) >= 400
    assert len({name for name, _ in SPECS}) == len(SPECS)


@pytest.mark.parametrize(("name", "spec"), SPECS, ids=[name for name, _ in SPECS])
def test_a_wrong_spec_is_refused_at_the_field(
    looplab: Dashboard, name: str, spec: dict[str, Any]
) -> None:
    answer = post(looplab, encoded(spec))
    assert answer.status_code in {400, 422}, (name, answer.text[:300])
    document = answer.json()
    assert set(document) == {"error", "message", "fields"}
    assert document["message"]
    assert document["fields"] or answer.status_code == 400
    assert len(answer.content) < 20_000
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("name", BODIES)
def test_what_is_no_spec_is_refused(looplab: Dashboard, name: str) -> None:
    answer = post(looplab, BODIES[name])
    assert answer.status_code in REFUSED, answer.text[:300]
    assert answer.json()["message"]


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "x"])
def test_only_json_is_read_as_json(looplab: Dashboard, kind: str) -> None:
    assert post(looplab, encoded(items_spec()), kind).status_code == 415


@pytest.mark.parametrize(
    "headers",
    [
        [("Host", "{host}"), ("Host", "{host}")],
        [("Host", "{host}"), ("Host", "example.com")],
        [("Host", "example.com")],
        [("Host", "127.0.0.1.example.com")],
        [("Host", "")],
        [],
    ],
    ids=["twice", "two", "other", "prefix", "empty", "none"],
)
def test_a_strange_host_is_refused(looplab: Dashboard, headers: list[tuple[str, str]]) -> None:
    own = urlsplit(looplab.url).netloc
    for path in ("/", "/api/runs", "/static/app.css", "/healthz"):
        connection = HTTPConnection(own, timeout=10)
        connection.putrequest("GET", path, skip_host=True)
        for name, value in headers:
            connection.putheader(name, value.format(host=own))
        connection.endheaders()
        assert connection.getresponse().status in {400, 421}
        connection.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://example.com"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
def test_other_origins_change_nothing(looplab: Dashboard, headers: dict[str, str]) -> None:
    for path in ("/api/runs", "/api/runs/zzzzzzzzzz/cancel", "/runs/new"):
        assert looplab.post(path, items_spec(), headers=headers).status_code == 403
    refused = looplab.delete("/api/runs/zzzzzzzzzz", headers=headers)
    assert refused.status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/api/runs?cursor=x", "/api/runs?cursor=%00", "/api/runs?state=wild",
        "/api/runs?limit=NaN", "/runs/zzzzzzzzzz", "/runs/%2e%2e%2f", "/runs/zzzzzzzzzz.json",
        "/runs/zzzzzzzzzz.csv", "/compare", "/compare?runs=", "/compare?runs=x,x", "/compare.json",
        "/compare.csv?runs=zzzzzzzzzz", "/nothing", "/static/../pyproject.toml",
        "/static/%2e%2e/%2e%2e/etc/passwd", "/history?cursor=%ff", "/history?state=wild",
    ],
)  # fmt: skip
def test_a_wrong_address_is_a_readable_refusal(looplab: Dashboard, path: str) -> None:
    response, text = as_it_is(looplab, path)
    if response.status == 307:
        response, text = as_it_is(looplab, urlsplit(response.headers["location"]).path)
    assert 400 <= response.status < 500, text[:200]
    assert "Traceback" not in text
    assert "default-src 'none'" in response.headers["content-security-policy"]


def as_it_is(looplab: Dashboard, path: str) -> tuple[HTTPResponse, str]:
    """Send a path that a client of URLs would tidy up; the response and its text."""
    connection = HTTPConnection(urlsplit(looplab.url).netloc, timeout=20)
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response, text


def test_texts_are_shown_as_they_are(tmp_path: Path) -> None:
    with dashboard(tmp_path) as looplab:
        target = {"url": "http://127.0.0.1:9"}
        for text in XSS:
            answer = looplab.post(
                "/api/runs", items_spec(title=text, tags=[text[:40]], target=target)
            )
            assert answer.status_code == 202, (text, answer.text)
        page = looplab.get("/history").text
        for text in ("<script>alert(1)", "<img src=x", "<svg onload", " onfocus=alert(1) x="):
            assert text not in page.replace("&#34;", "'").replace("&quot;", "'") or text.startswith(
                " "
            )
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "49" not in looplab.get("/history?text={{7*7}}").text.partition("<main")[2][:2_000]
