"""Hiding hit what is no secret: `No module named [DJANGO_SETTINGS_MODULE]`, without its hint."""

from collections.abc import Callable
from typing import Any

import pytest

from control_plane import cli_output
from tests.cases.command_line import short_spec
from tests.dashboard import Dashboard


@pytest.fixture(scope="module")
def looplab(case: Callable[[str], Dashboard]) -> Dashboard:
    return case("R07")


def failed(looplab: Dashboard, application: str) -> dict[str, Any]:
    spec = short_spec(application, ["/"])
    if application == "prints":
        spec["target"]["server"] = "command"
    return looplab.until_state(looplab.submit(spec), {"failed"})


@pytest.mark.parametrize("application", ["masked", "prints"])
def test_only_secrets_are_hidden(
    looplab: Dashboard, application: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = failed(looplab, application)
    log = "\n".join(run["log"])
    if application == "masked":
        assert "No module named 'shop.settings'" in log
        assert any("shop.settings" in hint for hint in run["hints"])
    else:
        assert "level is warning, served by uvicorn in site-packages/uvicorn/x.py" in log
        assert "whole postgres://u:[password of DATABASE_URL]@h/db" in log
        assert "alone: password [password of DATABASE_URL] refused" in log
    cli_output.print_run(run, None)
    address = f"/runs/{run['id']}"
    shown = [looplab.get(f"{address}{form}").text for form in ("", ".json", ".csv")]
    shown.append(looplab.get(f"/compare.md?runs={run['id']}").text)
    assert "longpassword" not in "".join([str(run), capsys.readouterr().out, *shown])
