"""Whatever is valid is taken, runs to an end that it gives reason for, and can be shown."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import read_spec, write_spec
from control_plane.pages.form.from_spec import fully_shown
from control_plane.targets.configurations import BUILTIN_CONFIGURATIONS, find_configuration
from tests.builders.valid_specs import METHODS, Documents, experiments, specs
from tests.dashboard import TERMINAL, Dashboard, until
from tests.in_process import in_process

READ, MEASURED = 25, 4
ANSWER = json.dumps({"token": "t", "items": [{"id": 1}]}).encode()
CONFIGURATIONS = st.sampled_from(
    [{"configuration": configuration.name} for configuration in BUILTIN_CONFIGURATIONS]
)
SHOWN = (
    "/runs/{}", "/runs/{}.csv", "/runs/{}.html", "/runs/{}.json", "/runs/{}.md", "/runs/{}.tsv",
    "/api/runs/{}", "/api/runs/{}/gauges", "/runs/new?from={}", "/bundle?run={}", "/history",
    "/compare?runs={},{}",
)  # fmt: skip
SHOWN_OF_EXPERIMENTS = (
    "/experiments/{}", "/experiments/{}.csv", "/experiments/{}.html", "/experiments/{}.md",
    "/experiments/{}.tsv", "/api/experiments/runs/{}",
)  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    """Answers everything, with what requests before the load capture."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.send_header("X-Token", "t")
        self.send_header("Set-Cookie", "session=s")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(ANSWER)

    do_HEAD = do_OPTIONS = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - as asked

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base
        """Print nothing."""


@contextmanager
def answering() -> Iterator[str]:
    """Its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def handed_in(targets: Documents) -> Documents:
    """For these targets, and for the bare responder, which answers GET alone."""
    responder = st.just({"server": "responder"})
    return st.one_of(specs(targets, METHODS), specs(responder, ("GET",)))


def measure(looplab: Dashboard, document: dict[str, Any]) -> None:
    """Hand a spec in; it is taken, ends without a fault of ours, and every page shows it."""
    answer = looplab.post("/api/runs", document)
    assert answer.status_code == 202, answer.text
    run = looplab.until_state(answer.json()["id"], TERMINAL, 90)
    _assert_told(run)
    _assert_shown(looplab, SHOWN, run["id"])


def decide(looplab: Dashboard, document: dict[str, Any]) -> None:
    """Hand an experiment in, as `measure` does."""
    answer = looplab.post("/api/experiments", document)
    assert answer.status_code == 202, answer.text
    made = answer.json()["id"]

    def over() -> bool:
        runs = looplab.get(f"/api/experiments/runs/{made}").json()["runs"]
        return all(run["state"] in TERMINAL for run in runs)

    until(over, "the experiment is over", 300, every_s=0.5)
    for run in looplab.get(f"/api/experiments/runs/{made}").json()["runs"]:
        _assert_told(run)
    _assert_shown(looplab, SHOWN_OF_EXPERIMENTS, made)


def _assert_told(run: dict[str, Any]) -> None:
    reason = run["reason"] or ""
    assert run["state"] in {"finished", "failed"}
    assert not reason.startswith(("internal", "client")), reason


def _assert_shown(looplab: Dashboard, paths: tuple[str, ...], shown: str) -> None:
    for path in paths:
        answer = looplab.get(path.format(shown, shown))
        assert answer.status_code < 500, (path, answer.text[:300])


def try_each(
    check: Callable[[dict[str, Any]], None],
    documents: Documents,
    examples: int,
    chance: int | None = None,
) -> None:
    """Check so many documents: the same ones each time, or those of the `chance` of that number."""

    def attempt(document: dict[str, Any]) -> None:
        try:
            check(document)
        except AssertionError as wrong:
            raise AssertionError(f"{wrong}: {json.dumps(document)}") from wrong

    limited = settings(
        max_examples=examples,
        derandomize=chance is None,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    test = given(documents)(attempt)
    limited(test if chance is None else seed(chance)(test))()


def read_again(document: dict[str, Any]) -> None:
    """A spec is the same once it was written and read; the form can be asked whether it says it."""
    spec = read_spec(document, Limits(), lambda named: find_configuration(named.configuration))
    assert read_spec(write_spec(spec), Limits()) == spec
    assert fully_shown(spec) in {True, False}


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with in_process(tmp_path_factory.mktemp("valid")) as started:
        yield started


def test_what_is_valid_is_read() -> None:
    try_each(read_again, handed_in(CONFIGURATIONS | st.just({"url": "http://localhost"})), READ)


def test_what_is_valid_is_measured_and_shown(looplab: Dashboard) -> None:
    with answering() as url:
        targets = st.just({"url": url})
        try_each(lambda document: measure(looplab, document), handed_in(targets), MEASURED)


def test_a_valid_experiment_is_taken(looplab: Dashboard) -> None:
    def taken(document: dict[str, Any]) -> None:
        answer = looplab.post("/api/experiments", document)
        assert answer.status_code == 202, answer.text
        address = f"/api/experiments/runs/{answer.json()['id']}"
        assert looplab.post(f"{address}/cancel").is_success
        _assert_shown(looplab, SHOWN_OF_EXPERIMENTS, answer.json()["id"])

    with answering() as url:
        try_each(taken, experiments(st.just({"url": url})), MEASURED)
