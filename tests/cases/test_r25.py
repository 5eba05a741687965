"""User and password that were drawn apart: nine in ten logins failed, and nothing said why."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.dashboard import Dashboard

CASE: dict[str, Any] = json.loads((Path(__file__).parent / "R25" / "spec.json").read_text())


def test_a_run_of_401_says_what_it_may_be(case: Callable[[str], Dashboard]) -> None:
    looplab = case("R25")
    run = looplab.finished(looplab.submit(CASE | {"warmup_s": 0}))
    (stream,) = run["streams"]
    assert stream["statuses"]["401"] > 5 * stream["statuses"]["200"]
    assert run["validity"]["outcome"] == "invalid"
    (reason,) = [reason for reason in run["validity"]["reasons"] if reason["gate"] == "errors"]
    assert "Mostly 401" in reason["text"]
    assert "Values that are drawn each by itself, such as user and password" in reason["text"]
    assert "Mostly 401" in looplab.get(f"/runs/{run['id']}").text
