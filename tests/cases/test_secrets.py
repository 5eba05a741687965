"""Secrets that a server shows wherever it can stand in nothing that Looplab shows or keeps."""

import base64
import html
import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from tests.cases.command_line import CommandLine, command_line
from tests.dashboard import TERMINAL, Dashboard, until
from tests.in_process import in_process
from tests.pages.form_page import form_of_page, send

PASSWORD, MARKED = 'Canary/pass "word"+1', "canary-marked<7&>"
PLAIN = ("canary-bearer.x=y", "canary-session", "canary-csrf", "canary-key", "canary-choice")
BASIC = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
HEADERS = {
    "Authorization": f"Basic {BASIC}",
    "Cookie": f"session={PLAIN[1]}; theme=dark; csrf={PLAIN[2]}",
    "X-Api-Key": PLAIN[3],
    "Proxy-Authorization": f"Bearer {PLAIN[0]}",
    "X-Auth-Token": "{choice}",
    "X-Access-Key": "canary-{n}-template",
    "X-Own": "{marked}",
    "Accept": "text/plain",
}
VALUES = {
    "choice": {"kind": "choice", "of": [PLAIN[4]]},
    "n": {"kind": "integer", "low": 10, "high": 99},
    "marked": {"kind": "choice", "of": [MARKED], "secret": True},
}
BODY = {"json": {"user": "{n}", "password": "{marked}"}}


def spec(*paths: str, requests: int = 40, strategy: str = "raw") -> dict[str, Any]:
    classes = [
        {"method": "POST", "path": path, "headers": HEADERS, "values": VALUES, "body": BODY}
        for path in paths
    ]
    load = {"model": "closed", "concurrency": 2}
    stream = {"requests": classes, "load": load, "stop": {"requests": requests}}
    return {
        "title": "shows all",
        "target": {"application": "echo"},
        "workload": {"streams": [stream]},
        "client": {"strategy": strategy},
        "warmup_s": 0,
    }


def found_in(text: str) -> list[str]:
    """Return the secrets in a text, however they are written."""
    secrets = (PASSWORD, MARKED, BASIC, *PLAIN, "canary")
    ways = (str, quote, html.escape, lambda value: json.dumps(value)[1:-1])
    forms = {write(secret).lower() for secret in secrets for write in ways}
    return sorted(form for form in forms if form in text.lower())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return command_line("secrets", tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def looplab(folder: CommandLine) -> Iterator[Dashboard]:
    (folder.folder / "spec.json").write_text(json.dumps(spec("/echo", "/away")))
    measured = folder("run", "spec.json", "--json")
    assert measured.returncode == 12, measured.stderr
    assert found_in(measured.stdout + measured.stderr) == []
    with in_process(folder.folder, folder.folder / "looplab.toml") as started:
        yield started


def dump(path: Path) -> str:
    """Return every row of the database but those of the table of secrets."""
    with closing(sqlite3.connect(path)) as connection:
        lines = [line for line in connection.iterdump() if 'INTO "secret"' not in line]
    return "\n".join(lines)


def everything(looplab: Dashboard, run_id: str, other: str) -> Iterator[tuple[str, str]]:
    """Yield each page, document and export that shows a run, with its address."""
    both = f"runs={run_id},{other}"
    addresses = [
        *(f"/runs/{run_id}{ending}" for ending in ("", ".json", ".csv", "?trial=1")),
        *(f"/compare{ending}?{both}" for ending in ("", ".json", ".csv", ".md")),
        *(f"/api/runs/{run_id}{ending}" for ending in ("", "/gauges")),
        *(f"/runs/new?from={run_id}", f"/api/compare?{both}", "/api/runs", "/", "/history"),
        *("/history?q=shows", "/targets", "/metrics", "/docs", "/openapi.json", "/workloads"),
        "/api/ceilings",
    ]
    for address in addresses:
        yield address, looplab.get(address).text


def over_without_secrets(looplab: Dashboard, run_id: str) -> dict[str, Any] | None:
    """Return the run once it is over; neither its page nor a process shows a secret meanwhile."""
    run = looplab.run(run_id)
    if run["state"] in TERMINAL:
        return run
    assert found_in(json.dumps(run) + looplab.get(f"/runs/{run_id}").text) == []
    for process in psutil.Process().children(recursive=True):
        try:
            assert found_in(" ".join([*process.cmdline(), *process.environ().values()])) == []
        except psutil.Error:
            continue
    return None


def test_no_secret_is_shown_or_kept_with_its_run(
    looplab: Dashboard, folder: CommandLine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (other,) = [run["id"] for run in looplab.get("/api/runs").json()["runs"]]
    run_id = looplab.submit(spec("/echo", "/away", requests=600, strategy="async"))
    run = until(partial(over_without_secrets, looplab, run_id), "it is over", 60, every_s=0.2)
    assert {*run["streams"][0]["statuses"]} == {"302", "401"}
    failures = [json.dumps(failed) for failed in run["trials"][0]["failures"]]
    assert len(failures) == 2
    for failure in failures:
        assert all(f"[{name}]" in failure for name in ("Authorization", "X-Api-Key", "marked"))
    failed = looplab.until_state(looplab.submit(spec("/end")), TERMINAL)
    assert failed["state"] == "failed"
    assert "/end" in looplab.get(f"/runs/{failed['id']}").text
    for first in (run_id, failed["id"]):
        for address, text in everything(looplab, first, other):
            assert found_in(text) == [], address
    assert found_in(dump(looplab.db)) == []
    assert found_in(caplog.text) == []


def test_a_form_keeps_secrets_until_another_value_is_typed(looplab: Dashboard) -> None:
    first = looplab.finished(looplab.submit(spec("/echo")))
    form = form_of_page(looplab.get(f"/runs/new?from={first['id']}").text, "/runs")
    started = send(looplab, "/runs", form).headers["location"].rpartition("/")[2]
    assert looplab.run(started)["spec"] == first["spec"]
    field = "workload.streams.0.requests.0.headers"
    lines = dict(form)[field].splitlines()
    typed = [(name, value) for name, value in form if name not in {field, "key"}]
    new = (field, "\n".join(["Authorization: Bearer canary-typed", *lines[1:]]))
    assert found_in(looplab.post_form("/runs/new/plan", [*typed, new]).text) == []
    changed = send(looplab, "/runs", [*typed, new]).headers["location"].rpartition("/")[2]
    for run_id in (started, changed):
        looplab.finished(run_id)
    compared = looplab.get(f"/api/compare?runs={started},{changed}").json()
    fields = [difference["field"] for difference in compared["differences"]]
    assert [field.rpartition(".")[2] for field in fields] == ["Authorization"]
    other = (field, new[1].replace("(secret ", "(secret 0123456789abcdef) (secret "))
    refused = send(looplab, "/runs", [*typed, other])
    assert refused.status_code == 422
    assert "Type the value itself" in refused.text


def test_what_is_kept_is_used_again_until_no_run_has_it(looplab: Dashboard) -> None:
    key = {"Idempotency-Key": "the same"}
    first = looplab.post("/api/runs", spec("/echo"), headers=key).json()["id"]
    assert looplab.post("/api/runs", spec("/echo"), headers=key).json()["id"] == first
    other = spec("/echo")
    other["workload"]["streams"][0]["requests"][0]["headers"] = HEADERS | {"X-Api-Key": "another"}
    assert looplab.post("/api/runs", other, headers=key).status_code == 409
    copied = looplab.finished(first)["spec"]
    again = looplab.finished(looplab.submit(copied))
    assert again["spec"] == copied
    assert "[X-Api-Key]" in again["trials"][0]["failures"][0]["body"]
    changed = looplab.finished(looplab.submit(other))
    document = looplab.get(f"/api/compare?runs={first},{changed['id']}").json()
    assert [field["field"].rpartition(".")[2] for field in document["differences"]] == ["X-Api-Key"]
    page = looplab.get(f"/runs/new?from={first}").text
    assert f"is a value kept from run {changed['id']}" in page
    for run in looplab.get("/api/runs?limit=200").json()["runs"]:
        assert looplab.delete(f"/api/runs/{run['id']}").status_code == 204
    refused = looplab.post("/api/runs", copied)
    fields = {field["field"].rpartition(".requests.0.")[2] for field in refused.json()["fields"]}
    assert refused.status_code == 422
    assert fields == {
        *(f"headers.{name}" for name in HEADERS if name not in {"X-Auth-Token", "X-Own", "Accept"}),
        *("values.choice.of", "values.marked.of"),
    }
    assert "Type the value itself" in refused.json()["fields"][0]["message"]
    request = copied["workload"]["streams"][0]["requests"][0]
    kept = request["headers"]["Cookie"]
    request["path"] = f"/echo?{quote(kept)}"
    request["body"] = {"json": {kept: "{n}", "own": "{marked}"}}
    request["expect"] = {"text": kept}
    fields = {
        error["field"].rpartition(".requests.0.")[2]
        for error in looplab.post("/api/runs", copied).json()["fields"]
    }
    assert {"path", "body.json", "expect.text"} <= fields
    for path in looplab.db.parent.glob("runs.db*"):
        if path.is_file():
            assert found_in(path.read_bytes().decode("latin-1")) == [], path
