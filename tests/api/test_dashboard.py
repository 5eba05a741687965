"""What monitors and other starts of Looplab read."""

import os
import time

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from control_plane import __version__
from control_plane.domain.run import State
from tests.dashboard import BARE, Dashboard, items_spec, long_spec

DEAD = {"url": "http://127.0.0.1:9"}


def scrape(looplab: Dashboard) -> dict[str, Metric]:
    response = looplab.get("/metrics")
    assert response.status_code == 200
    return {metric.name: metric for metric in text_string_to_metric_families(response.text)}


def value_of(metric: Metric, suffix: str = "", **labels: str) -> float:
    """The one sample with these labels; 0 when there is none."""
    samples = [
        sample.value
        for sample in metric.samples
        if sample.name == metric.name + suffix and sample.labels == labels
    ]
    assert len(samples) <= 1
    return samples[0] if samples else 0


def requests_of(looplab: Dashboard, method: str, route: str, status: str) -> float:
    metric = scrape(looplab)["looplab_http_requests"]
    return value_of(metric, "_total", method=method, route=route, status=status)


def test_healthz_names_the_product(looplab: Dashboard) -> None:
    health = looplab.get("/healthz").json()
    assert health["name"] == "looplab"
    assert health["pid"] == os.getpid()


def test_metrics_are_in_the_text_format_of_prometheus(looplab: Dashboard) -> None:
    response = looplab.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    head = looplab.client.head("/metrics")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == response.headers["content-type"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_metrics_are_only_read(looplab: Dashboard, method: str) -> None:
    assert looplab.client.request(method, "/metrics").status_code == 405


def test_the_version_and_the_process_are_told(looplab: Dashboard) -> None:
    metrics = scrape(looplab)
    assert value_of(metrics["looplab_build_info"], version=__version__) == 1
    uptime_s = time.time() - value_of(metrics["process_start_time_seconds"])
    assert 0 < uptime_s < 36_000
    assert value_of(metrics["process_cpu_seconds"], "_total") > 0
    assert value_of(metrics["process_resident_memory_bytes"]) > 1_000_000


def test_runs_are_counted_by_state(looplab: Dashboard) -> None:
    before = scrape(looplab)
    assert {sample.labels["state"] for sample in before["looplab_runs"].samples} == set(State)
    assert value_of(before["looplab_measuring"]) == 0
    works = looplab.submit(long_spec(**BARE))
    waits = [looplab.submit(items_spec(**BARE)) for _ in range(2)]
    looplab.until_state(works, {"running"})
    during = scrape(looplab)
    assert value_of(during["looplab_runs"], state="running") == 1
    assert value_of(during["looplab_runs"], state="queued") == 2
    assert value_of(during["looplab_queue_length"]) == 2
    assert value_of(during["looplab_measuring"]) == 1
    for run_id in [*waits, works]:
        looplab.cancel(run_id)
    after = scrape(looplab)
    assert value_of(after["looplab_queue_length"]) == value_of(after["looplab_measuring"]) == 0
    cancelled = [value_of(at["looplab_runs"], state="cancelled") for at in (before, after)]
    assert cancelled[1] - cancelled[0] == 3


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/", "/", "200"),
        ("GET", "/api/runs", "/api/runs", "200"),
        ("GET", "/api/runs/zzzzzzzzzz", "/api/runs/{run_id}", "404"),
        ("GET", "/runs/zzzzzzzzzz", "/runs/{run_id}", "404"),
        ("GET", "/static/css/app.css", "/static", "200"),
        ("GET", "/nowhere/at/all", "unmatched", "404"),
        ("GET", "/openapi.json", "/openapi.json", "200"),
        ("DELETE", "/healthz", "/healthz", "405"),
        ("POST", "/api/runs", "/api/runs", "415"),
    ],
)
def test_requests_are_counted_by_route(
    looplab: Dashboard, method: str, path: str, route: str, status: str
) -> None:
    before = requests_of(looplab, method, route, status)
    assert looplab.client.request(method, path).status_code == int(status)
    assert requests_of(looplab, method, route, status) == before + 1
    latency = scrape(looplab)["looplab_http_request_duration_seconds"]
    assert value_of(latency, "_count", method=method, route=route) > before
    assert 0 < value_of(latency, "_sum", method=method, route=route) < 60


def test_what_a_guard_refuses_is_counted(looplab: Dashboard) -> None:
    before = requests_of(looplab, "GET", "unmatched", "400")
    assert looplab.get("/", headers={"Host": "example.com"}).status_code == 400
    assert requests_of(looplab, "GET", "unmatched", "400") == before + 1


def test_a_client_cannot_add_series_without_end(looplab: Dashboard) -> None:
    for word in ("A", "B"):
        looplab.client.request(word, f"/{word}")
    labels = [sample.labels for sample in scrape(looplab)["looplab_http_requests"].samples]
    assert {"A", "B"}.isdisjoint(label["method"] for label in labels)
    assert {"/A", "/B"}.isdisjoint(label["route"] for label in labels)
    assert requests_of(looplab, "other", "unmatched", "404") >= 2


def test_configurations_are_targets_that_can_be_named(looplab: Dashboard) -> None:
    configurations = looplab.get("/api/configurations").json()
    names = {configuration["name"] for configuration in configurations}
    assert len(names) == len(configurations) >= 4
    first = configurations[0]
    assert set(first) == {"name", "target", "builtin", "available", "missing_extra"}
    assert first["target"]["server"] == "uvicorn"


def test_the_api_is_documented(looplab: Dashboard) -> None:
    schema = looplab.get("/openapi.json").json()
    assert {"/api/runs", "/api/runs/{run_id}", "/api/compare"} <= set(schema["paths"])
    assert "Spec" in schema["components"]["schemas"]
    page = looplab.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text


def test_each_operation_of_the_api_says_what_it_does(looplab: Dashboard) -> None:
    """FastAPI makes a summary of the function's name where a route has none."""
    operations = [
        operation
        for path in looplab.get("/openapi.json").json()["paths"].values()
        for operation in path.values()
    ]
    summaries = [operation["summary"] for operation in operations]
    named_after_functions = [
        operation["summary"]
        for operation in operations
        if operation["operationId"].startswith(operation["summary"].lower().replace(" ", "_"))
    ]
    assert named_after_functions == []
    assert len(set(summaries)) == len(summaries) > 30
