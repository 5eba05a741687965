"""What a program printed before it hung or was killed was lost in its buffer."""

from collections.abc import Callable

import pytest

from tests.cases.command_line import short_spec
from tests.dashboard import Dashboard


@pytest.fixture(scope="module")
def looplab(case: Callable[[str], Dashboard]) -> Dashboard:
    looplab = case("R13")
    settings = looplab.db.parent / "looplab.toml"
    settings.write_text(settings.read_text().replace("start_timeout_s = 5", "start_timeout_s = 2"))
    return looplab


@pytest.mark.parametrize(
    ("application", "printed"),
    [
        ("hangs", "waiting for broker"),
        ("hangs-command", "waiting for broker"),
        ("dies", "about to die"),
        ("dies-command", "about to die"),
    ],
)
def test_what_was_printed_last_is_in_the_log(
    looplab: Dashboard, application: str, printed: str
) -> None:
    spec = short_spec(application, ["/die" if application.startswith("dies") else "/"])
    if application.endswith("command"):
        spec["target"]["server"] = "command"
    run = looplab.until_state(looplab.submit(spec), {"failed"})
    assert printed in run["log"]
