"""Load models through the whole job: target, load workers, records, gates."""

import contextlib
import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.builders import own
from tests.dashboard import Dashboard, forked_dashboard
from tests.load.hostile import HostileServer, hostile_server
from tests.undisturbed import levels, unless_disturbed

SERVED = {"application": "bare"}
POST = {"method": "POST", "path": "/payloads/model"}


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("loads")
    own.bare(folder)
    with forked_dashboard(folder) as started:
        yield started


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    with hostile_server() as started:
        yield started


def sized(size_bytes: int) -> dict[str, Any]:
    return {**POST, "body": {"generated": {"shape": "name-data", "size_bytes": size_bytes}}}


def ran(looplab: Dashboard, *streams: dict[str, Any], **rest: Any) -> dict[str, Any]:
    run_id = looplab.submit({"workload": {"streams": list(streams)}, "warmup_s": 0, **rest})
    return looplab.finished(run_id)


def openings(looplab: Dashboard) -> dict[str, float]:
    """When the streams of the last run opened their windows."""
    query = (
        "select name, timeline from trial_stream where run = (select max(run) from trial_stream)"
    )
    with contextlib.closing(sqlite3.connect(f"file:{looplab.db}?mode=ro", uri=True)) as connection:
        return {name: json.loads(line)["opens_s"] for name, line in connection.execute(query)}


def test_two_endpoints_of_which_one_starts_a_moment_later(looplab: Dashboard) -> None:
    once = {"load": {"model": "closed", "concurrency": 10}, "stop": {"requests": 10}}
    first = {"name": "first", "requests": [{"path": "/wait/0.2"}], **once}
    second = {"name": "second", "requests": [{"path": "/wait/0.21"}], **once, "start_after_s": 0.3}

    def apart(run: dict[str, Any]) -> bool:
        """Each window opens with its first request, which may be sent late."""
        completed = [(stream["name"], stream["completed"]) for stream in run["streams"]]
        assert completed == [("first", 10), ("second", 10)]
        return openings(looplab) == {"first": 0, "second": pytest.approx(0.3, abs=0.1)}

    unless_disturbed(lambda: ran(looplab, first, second, target=SERVED), apart)


def test_small_bodies_beside_large_ones(looplab: Dashboard) -> None:
    """Each at its own interval, in a process of its own."""

    def every(name: str, size_bytes: int, interval_s: float) -> dict[str, Any]:
        load = {"model": "periodic", "interval_s": interval_s}
        request = sized(size_bytes)
        return {"name": name, "requests": [request], "load": load, "stop": {"duration_s": 1.5}}

    def in_time(run: dict[str, Any]) -> bool:
        small, large = run["streams"]
        assert large["bytes_sent"] == 1_000_000 * large["completed"]
        assert run["title"].startswith("small, async, 1 user every 0.05 s, 1.5 s")
        assert not levels(run).keys() & {"not_sent", "late_send", "recorder"}
        assert 1 <= small["completed"] <= 30
        assert 1 <= large["completed"] <= 3
        return small["completed"] >= 20 and large["completed"] >= 2

    both = every("small", 1_000, 0.05), every("large", 1_000_000, 0.5)
    unless_disturbed(lambda: ran(looplab, *both), in_time)


def test_nine_reads_for_each_write(looplab: Dashboard) -> None:
    user = {"email": "{name}@example.com", "full_name": "New"}
    reads = {"path": "/users/user7@example.com", "weight": 9}
    writes = {
        "method": "POST",
        "path": "/users/",
        "values": {"name": {"kind": "uuid"}},
        "body": {"json": user},
    }
    load = {"model": "closed", "concurrency": 4}
    run = ran(looplab, {"requests": [reads, writes], "load": load, "stop": {"requests": 300}})
    statuses = run["streams"][0]["statuses"]
    assert sum(statuses.values()) == 300
    assert 15 <= statuses["201"] <= 50


def opened(path: str, rate: float, **more: Any) -> dict[str, Any]:
    load = {"model": "open", "rate_per_s": rate, **more}
    return {"requests": [{"path": path}], "load": load, "stop": {"duration_s": 1}}


def test_an_open_load_that_is_kept_up_with(looplab: Dashboard) -> None:
    def kept_up(run: dict[str, Any]) -> bool:
        (stream,) = run["streams"]
        assert stream["intended"] == stream["sent"] + stream["not_sent"] == 200
        assert stream["send_lag_s"]["p50"] >= 0
        found = levels(run)
        assert "late_send" in found
        assert "recorder" not in found
        assert found["errors"] == "ok"
        return found["not_sent"] == "ok"

    unless_disturbed(lambda: ran(looplab, opened("/", 100), target=SERVED, trials=2), kept_up)


def test_an_open_load_that_is_not(looplab: Dashboard, server: HostileServer) -> None:
    """Two at a time, each 0.05 s and more: forty a second of 200."""
    run = ran(looplab, opened("/slow", 200, max_in_flight=2), target={"url": server.url})
    (stream,) = run["streams"]
    assert stream["intended"] == stream["sent"] + stream["not_sent"] == 200
    assert stream["response_time_s"]["max"] > 2 * stream["service_time_s"]["min"]
    assert stream["response_time_s"]["p50"] is None
    found = levels(run)
    assert (found["not_sent"], found["late_send"]) == ("invalid", "suspect")
    assert run["validity"]["outcome"] == "invalid"
    page = looplab.get(f"/runs/{run['id']}").text
    assert "were never sent" in page


def test_a_target_that_falls_behind_has_the_rate_that_it_reached(looplab: Dashboard) -> None:
    """It answers at most fifty a second of 200; all the others are awaited after the window."""
    run = ran(looplab, opened("/block/0.02", 200), target=SERVED)
    (stream,) = run["streams"]
    assert stream["completed"] == stream["sent"] > 100
    assert 0 < stream["throughput_per_s"] <= 60
    page = looplab.get(f"/runs/{run['id']}").text
    assert "No request was left without an end, in the window or after it." in page


def test_a_run_by_requests_on_answers_that_never_end_says_so(
    looplab: Dashboard, server: HostileServer
) -> None:
    endless = {
        "requests": [{"path": "/events"}],
        "load": {"model": "closed", "concurrency": 2},
        "stop": {"requests": 100_000},
    }
    spec = {"workload": {"streams": [endless]}, "warmup_s": 0, "timeout_s": 1.5}
    run_id = looplab.submit(spec | {"target": {"url": server.url}})
    run = looplab.until_state(run_id, {"failed"}, 30)
    assert run["reason"].startswith(
        "GET /events answers with a stream of text/event-stream that had no end within 1.5 s. Read"
    )


def test_the_wait_for_late_answers_is_not_watched(
    looplab: Dashboard, server: HostileServer
) -> None:
    run = ran(looplab, opened("/silence", 20), target={"url": server.url}, timeout_s=2)
    (stream,) = run["streams"]
    assert stream["errors"] == {"timeout": stream["sent"]}
    assert 10 < stream["sent"] <= stream["intended"] == 20
    assert run["trials"][0]["target"]["watched_s"] < 2


def test_users_who_think_are_not_missed(looplab: Dashboard) -> None:
    load = {"model": "closed", "concurrency": 4, "think_time_s": 0.1}
    stream = {"requests": [{"path": "/wait/0.2"}], "load": load, "stop": {"duration_s": 1}}

    def not_missed(run: dict[str, Any]) -> bool:
        assert levels(run)["errors"] == "ok"
        return levels(run)["recorder"] == "ok"

    unless_disturbed(lambda: ran(looplab, stream, target=SERVED), not_missed)


@contextmanager
def crowded() -> Iterator[str]:
    """A server with room for two connections: what else would connect waits."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_requests_that_wait_for_the_backlog_do_not_wait_in_the_client(
    looplab: Dashboard, server: HostileServer
) -> None:
    stream = {
        "requests": [{"path": "/"}],
        "load": {"model": "closed", "concurrency": 8},
        "stop": {"duration_s": 0.5},
    }
    with crowded() as url:
        run = ran(looplab, stream, target={"url": url}, timeout_s=5)
    assert levels(run)["pool"] == "ok"
    assert run["validity"]["outcome"] == "invalid"
    answered = {**stream, "requests": [{"path": "/ok"}]}
    kept = ran(looplab, answered, target={"url": server.url})
    assert levels(kept)["pool"] == "ok"


def test_drift(looplab: Dashboard, server: HostileServer) -> None:
    """Of two streams in one window one answers ever more slowly: its last answers take five times
    as long as its first, which nothing that goes on beside both comes near.
    """
    both = {"load": {"model": "closed", "concurrency": 2}, "stop": {"duration_s": 8}}
    steady = {"name": "steady", "requests": [{"path": "/slow"}], **both}
    slower = {"name": "slower", "requests": [{"path": "/slower"}], **both}
    run = ran(looplab, steady, slower, target={"url": server.url})
    drifts = {stream["name"]: stream["drift_share"] for stream in run["trials"][0]["streams"]}
    assert drifts["slower"] > 0.4
    assert abs(drifts["steady"]) < drifts["slower"] / 3
    (fired,) = [reason for reason in run["validity"]["reasons"] if reason["gate"] == "not_steady"]
    assert "of slower rose" in fired["text"]
