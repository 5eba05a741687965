"""What is said about code that blocks the event loop."""

from dataclasses import replace

from control_plane.analysis.causes.advice import Advice, advice
from control_plane.domain.result import Cause
from control_plane.domain.spec import Spec
from tests.builders import items

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
