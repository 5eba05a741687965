"""The page of the workloads says what the running application serves, and nothing else."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import escape
from typing import Any

import httpx
import pytest

from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import read_spec
from control_plane.experiments import Endpoint, workloads
from control_plane.load.request_source import RequestSource
from control_plane.load.worker_protocol import Seeds
from scripts.budget import ROOT
from tests.dashboard import Dashboard
from tests.pages.form_page import form_of_page
from tests.target_app.server import serving

ENDPOINTS = [endpoint for workload in workloads() for endpoint in workload.endpoints]
DEFAULTS: dict[str, Any] = {"values": {}, "body": None}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    quick = {"TARGET_WAIT_SCALE": "0.01", "TARGET_LOG_S": "0", "TARGET_CPU_N": "1000"}
    with serving("target_app", environment=quick) as running:
        yield running.client


def test_it_lists_what_the_application_describes(client: httpx.Client) -> None:
    described = {}
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            extra = operation["x-looplab"]
            request = DEFAULTS | {
                key: value for key, value in extra["request"].items() if value is not None
            }
            described[f"{method.upper()} {path}"] = (operation["tags"], extra["aliases"], request)
    listed = {
        endpoint.name: ([workload.name], list(endpoint.aliases), DEFAULTS | endpoint.request)
        for workload in workloads()
        for endpoint in workload.endpoints
    }
    assert listed == described


def test_every_path_and_alias_is_served(client: httpx.Client) -> None:
    for endpoint in ENDPOINTS:
        for path in (endpoint.path, *endpoint.aliases):
            assert client.options(path).status_code != 404, path
    assert client.options("/nowhere").status_code == 404


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_each_is_a_run(endpoint: Endpoint) -> None:
    spec = read_spec(endpoint.document, Limits())
    assert spec.workload.streams[0].requests[0].method == endpoint.method


def test_each_ready_request_is_answered(client: httpx.Client) -> None:
    def answered(endpoint: Endpoint) -> int:
        spec = read_spec(endpoint.document, Limits())
        request = RequestSource(
            spec.workload.streams[0].requests, Seeds.of(ENDPOINTS.index(endpoint))
        ).draw()
        sent = client.request(
            request.method, request.path, headers=request.headers, content=request.body
        )
        return sent.status_code

    with ThreadPoolExecutor(len(ENDPOINTS)) as pool:
        statuses = list(pool.map(answered, ENDPOINTS))
    named = zip(ENDPOINTS, statuses, strict=True)
    assert {endpoint.name: status for endpoint, status in named if status not in {200, 201}} == {}


def test_the_page_shows_them(empty: Dashboard) -> None:
    page = empty.get("/workloads").text
    for endpoint in ENDPOINTS:
        assert f"<code>{escape(endpoint.path)}</code>" in page
        assert all(f"<code>{alias}</code>" in page for alias in endpoint.aliases)


def test_one_click_opens_the_form_with_the_request(empty: Dashboard) -> None:
    page = empty.get("/runs/new", params={"endpoint": "POST /users/thread/"}).text
    form = dict(form_of_page(page, "/runs"))
    assert form["workload.streams.0.requests.0.path"] == "/users/thread/"
    assert form["workload.streams.0.requests.0.method"] == "POST"
    assert "{name}@example.com" in form["workload.streams.0.requests.0.body.json"]
    assert empty.get("/runs/new", params={"endpoint": "GET /nowhere"}).status_code == 404


def test_the_docs_map_the_older_names() -> None:
    text = (ROOT / "docs" / "workloads.md").read_text(encoding="utf-8")
    for endpoint in ENDPOINTS:
        for alias in endpoint.aliases:
            assert f"| `{endpoint.method} {alias}` | `{endpoint.name}` |" in text
