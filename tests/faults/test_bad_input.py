"""The corpus of bad input: a readable refusal, and no row, process or file."""

import io
import json
import re
import sys
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

from control_plane.access.route_roles import ROUTES
from control_plane.cli import main
from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import read_spec
from control_plane.pages.form.from_spec import form_from_spec
from tests.dashboard import Dashboard, forked_dashboard, items_spec, marked
from tests.faults.corpus_specs import BODIES, XSS, encoded, wrong_specs
from tests.in_process import in_process

SPECS = dict(wrong_specs())
REFUSED = {400, 404, 409, 413, 415, 422}
QUERIES = (
    "limit", "cursor", "state", "tag", "text", "validity", "configuration", "strategy", "run",
    "runs", "baseline", "preset", "from", "try", "endpoint", "application", "back", "stream",
    "deleted",
)  # fmt: skip
FORM_FIELDS = (
    "run", "tag", "do", "back", "key", "spec", "paste", "change", "name", "target", "preset",
    "configuration", "application", "app", "directory", "python", "strategy", "runs", "blocks",
)  # fmt: skip
CORPUS = Path(__file__).with_name("corpus")
TEXTS: list[str] = json.loads((CORPUS / "texts.json").read_text())
COMMANDS: list[list[str]] = json.loads((CORPUS / "commands.json").read_text())


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """In process; afterwards there is no row, no process and no file more."""
    folder = tmp_path_factory.mktemp("corpus")
    with in_process(folder, limits=Limits(max_queue=0)) as started:
        yield started
        assert started.get("/api/runs").json()["runs"] == []
        assert marked(started.instance) == []
        names = {path.name.partition("runs.db")[1] or path.name for path in folder.iterdir()}
        assert names == {"runs.db"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """Behind a socket, for what no client of URLs sends."""
    folder = tmp_path_factory.mktemp("served")
    with forked_dashboard(folder) as started:
        yield started
        assert "Traceback" not in (folder / "looplab.log").read_text()


def post(looplab: Dashboard, body: bytes, kind: str = "application/json") -> Any:
    return looplab.client.post("/api/runs", content=body, headers={"Content-Type": kind})


def test_the_corpus_is_large() -> None:
    assert len(SPECS) + len(BODIES) + len(XSS) + len(TEXTS) + len(COMMANDS) >= 400


def test_a_wrong_spec_is_refused_at_the_field(looplab: Dashboard) -> None:
    assert [name for name, spec in SPECS.items() if not refused_at_field(looplab, spec)] == []


def refused_at_field(looplab: Dashboard, spec: dict[str, Any]) -> bool:
    answer = post(looplab, encoded(spec))
    document = answer.json()
    readable = set(document) == {"error", "message", "fields"} and document["message"]
    told = document["fields"] or answer.status_code == 400
    short = len(answer.content) < 20_000 and "Traceback" not in answer.text
    return bool(answer.status_code in {400, 422} and readable and told and short)


def test_what_is_no_spec_is_refused(looplab: Dashboard) -> None:
    for name, body in BODIES.items():
        answer = post(looplab, body)
        assert answer.status_code in REFUSED, (name, answer.text[:300])
        assert answer.json()["message"], name


def test_no_text_in_an_address_gives_500(looplab: Dashboard) -> None:
    """Each route that reads gets odd ids, and odd values of every query that one of them takes."""
    texts = cycle(TEXTS)
    for route in (*ROUTES["public"], *ROUTES["viewer"]):
        path = re.sub(r"{[^}]+}", lambda _: quote(next(texts), safe=""), route.split()[1])
        query = urlencode({name: next(texts) for name in QUERIES})
        answer = looplab.get(f"{path}?{query}", follow_redirects=False)
        assert answer.status_code < 500, (path, query, answer.text[:300])
    for name in QUERIES:
        for path in ("/history", "/api/runs", "/compare"):
            answer = looplab.get(path, params={name: next(texts)}, follow_redirects=False)
            assert answer.status_code < 500, (path, name, answer.text[:300])


def test_no_text_in_a_form_gives_500(looplab: Dashboard) -> None:
    """Each field of the form of a run once, with the next text; other forms with each text."""
    spec = read_spec(items_spec(), Limits())
    form = [
        (name, text) for name, texts in form_from_spec(spec, ()).values.items() for text in texts
    ]
    texts = cycle(TEXTS)
    for place, (name, _) in enumerate(form):
        pair = (name, next(texts)) if place % 4 else (f"{name}.{next(texts)}", "1")
        answer = looplab.post_form("/runs", [*form[:place], pair, *form[place + 1 :]])
        assert answer.status_code < 500, (pair, answer.text[:300])
    for route in ROUTES["operator"]:
        method, path = route.split()
        if method == "POST":
            filled = re.sub(r"{[^}]+}", lambda _: quote(next(texts), safe=""), path)
            pairs = [(name, next(texts)) for name in FORM_FIELDS]
            answer = looplab.post_form(filled, pairs)
            assert answer.status_code < 500, (filled, pairs, answer.text[:300])


def test_no_command_ends_with_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in COMMANDS:
        monkeypatch.setattr(sys, "argv", ["looplab", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{}")))
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        assert ended.value.code == 2, (arguments, told)
        assert told.err, arguments
        assert "Traceback" not in told.err
    assert [*tmp_path.iterdir()] == []


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
def test_a_strange_host_is_refused(served: Dashboard, headers: list[tuple[str, str]]) -> None:
    own = urlsplit(served.url).netloc
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
def test_a_wrong_address_is_a_readable_refusal(served: Dashboard, path: str) -> None:
    response, text = as_it_is(served, path)
    if response.status == 307:
        response, text = as_it_is(served, urlsplit(response.headers["location"]).path)
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
    with in_process(tmp_path) as looplab:
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
