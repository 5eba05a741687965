"""What is offered to test a cause: one change, and one that a run can have."""

from dataclasses import replace
from typing import Any

import pytest

from control_plane.analysis.causes import UNBLOCKED, UNPOOLED, Advice, advice, remedies
from control_plane.domain.limits import Limits
from control_plane.domain.result import Cause
from control_plane.domain.spec import Spec
from control_plane.domain.spec_json import read_spec, write_spec
from target_app.main import app
from tests.builders.runs import items


def offered(
    *causes: str, path: str = "/items/1", client: str = "async", users: int = 1, **target: Any
):
    stream = {
        "name": "s",
        "requests": [{"path": path}],
        "load": {"model": "closed", "concurrency": users},
        "stop": {"requests": 5},
    }
    spec = items(workload={"streams": [stream]}, target=target, client={"strategy": client})
    return spec, remedies(spec, [Cause(cause, "", {}) for cause in causes], Limits())


@pytest.mark.parametrize(
    ("causes", "path", "labels"),
    [
        (["loop_blocked"], "/movies/sync/1", ["in a thread", "awaited", "2 workers"]),
        (["loop_blocked"], "/items/1", ["2 workers"]),
        (["pool_exhausted"], "/movies/thread/1", ["awaited", "160 threads"]),
        (["server_cpu", "loop_blocked"], "/items/1", ["2 workers"]),
        (["server_cpu", "pool_exhausted"], "/items/1", ["2 workers"]),
        (["never_served"], "/items/1", ["asyncio in place of uvloop"]),
        (["garbage_collection"], "/items/1", []),
        ([], "/movies/sync/1", []),
    ],
)
def test_each_cause_has_its_changes(causes, path, labels):
    _, found = offered(*causes, path=path)
    assert [remedy.label for remedy in found] == labels


def test_a_worker_that_takes_all_is_tried_without_reuse_port():
    target: dict[str, Any] = {
        "server": "gunicorn",
        "worker": "uvicorn_worker",
        "workers": 2,
        "reuse_port": True,
    }
    _, (found,) = offered("workers_uneven", **target)
    assert found.spec.target.reuse_port is False


@pytest.mark.parametrize(
    ("strategy", "users", "labels"),
    [
        ("blocking", 1, ["client async"]),
        ("threaded", 6, ["client async", "2 client processes"]),
        ("async", 1, ["client raw"]),
        ("raw", 6, ["2 client processes"]),
    ],
)
def test_a_client_at_its_limit_gets_a_lighter_one_or_more_processes(strategy, users, labels):
    _, found = offered("client_limited", client=strategy, users=users)
    assert [remedy.label for remedy in found] == labels


def test_what_a_server_cannot_have_is_not_offered():
    assert offered("loop_blocked", server="uvicorn", reload=True)[1] == ()
    assert offered("pool_exhausted", server="uvicorn", threads=500)[1] == ()


def test_each_remedy_is_one_change_to_a_spec_that_can_run():
    spec, found = offered("loop_blocked", "pool_exhausted", "never_served", path="/movies/sync/1")
    assert len(found) == 5
    for remedy in found:
        document = write_spec(remedy.spec)
        assert read_spec(document, Limits()) == remedy.spec
        changed = [key for key, value in write_spec(spec).items() if document[key] != value]
        assert len(changed) == 1


def test_every_sibling_is_an_endpoint_of_the_bundled_application():
    paths = " ".join(app.openapi()["paths"])
    for siblings in (UNBLOCKED, UNPOOLED):
        for ways in siblings.values():
            assert all(path.rstrip("/") in paths for path in ways.values())


FOUND = Cause("loop_blocked", "", {"frame": "shop.py, line 9: time.sleep"}, found=True)


def load(*paths: str, **target: str) -> Spec:
    stream = {
        "name": "s",
        "requests": [{"path": path} for path in paths],
        "load": {"model": "closed", "concurrency": 1},
        "stop": {"requests": 5},
    }
    return items(workload={"streams": [stream]}, target=target)


def test_the_line_and_the_only_path_are_named() -> None:
    place = "shop.py, line 9: time.sleep"
    assert advice(load("/slow", application="shop"), [FOUND]) == Advice(place, "/slow")
    assert advice(load("/slow", "/fast", application="shop"), [FOUND]) == Advice(place, "")
    assert advice(load("/items/1"), [FOUND]) == Advice(place, "/items/1")
    assert advice(load("/items/1"), [replace(FOUND, evidence={})]) == Advice("", "/items/1")


def test_an_endpoint_that_can_be_changed_in_the_form_needs_no_sentence() -> None:
    assert advice(load("/movies/sync/1"), [FOUND]) is None
    assert advice(load("/movies/sync/1", application="shop"), [FOUND]) is not None


def test_nothing_is_advised_without_a_blocked_loop() -> None:
    assert advice(load("/slow", application="shop"), [replace(FOUND, found=False)]) is None
