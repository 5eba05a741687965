"""What servers read unasked decided a run, and nobody said so."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from control_plane import cli_output
from tests.cases.command_line import short_spec
from tests.dashboard import Dashboard
from tests.pages.stored import words

GUNICORN = {"server": "gunicorn", "worker": "uvicorn_worker", "workers": 2, "access_log": False}
MORE = f"""
environment = ["UVICORN_WORKERS=2", "WEB_CONCURRENCY=2", "UVICORN_TIMEOUT_KEEP_ALIVE=1"]

[applications.by-hand]
command = "{sys.executable} -m gunicorn app:app -k asgi -b {{host}}:{{port}}"
environment = ["WEB_CONCURRENCY=1", "GUNICORN_CMD_ARGS=--log-level=error", "SECRET_KEY=abcdefgh"]
"""


@pytest.fixture(scope="module")
def looplab(case: Callable[[str], Dashboard]) -> Dashboard:
    looplab = case("R10")
    settings = looplab.db.parent / "looplab.toml"
    settings.write_text(settings.read_text() + MORE)
    return looplab


def measured(looplab: Dashboard, application: str, **target: Any) -> dict[str, Any]:
    spec = short_spec(application, ["/"])
    spec["target"] |= target
    spec["workload"]["streams"][0]["stop"]["requests"] = 1_500
    return looplab.finished(looplab.submit(spec))


def test_a_file_of_settings_is_shut_out(looplab: Dashboard) -> None:
    run = measured(looplab, "production", **GUNICORN)
    assert "--config python:__future__" in run["command"]
    assert run["trials"][0]["target"]["restarts"] == 0
    assert "target_restarted" not in str(run["validity"]["reasons"])
    assert "server_settings" not in run["environment"]


def test_a_variable_is_named_in_run_and_comparison(
    looplab: Dashboard, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a field decides is left out: its one worker has nothing below it."""
    limited, other = measured(looplab, "limited"), measured(looplab, "production")
    assert limited["environment"]["server_settings"] == {"UVICORN_LIMIT_CONCURRENCY": "10"}

    page = words(looplab.get(f"/runs/{limited['id']}").text)
    assert "reads UVICORN_LIMIT_CONCURRENCY 10 beside its command line" in page
    cli_output.print_run(limited, None)
    assert "reads UVICORN_LIMIT_CONCURRENCY 10 beside" in capsys.readouterr().out
    assert "Read beside the command line UVICORN_LIMIT_CONCURRENCY 10" in page
    query = f"runs={other['id']},{limited['id']}"
    (field,) = (
        field
        for field in looplab.get(f"/api/compare?{query}").json()["environment"]
        if field["field"].startswith("server_settings")
    )
    assert field["values"] == {other["id"]: None, limited["id"]: "10"}
    cause = "a ratio belongs to application and UVICORN_LIMIT_CONCURRENCY together"
    scope = "reads nothing beside its command line, B limited reads UVICORN_LIMIT_CONCURRENCY 10."
    for form in ("", ".md"):
        text = words(looplab.get(f"/compare{form}?{query}").text.replace("\\", ""))
        assert (cause in text, scope in text) == (True, True), text


def test_what_a_command_may_read_is_named(looplab: Dashboard) -> None:
    named = measured(looplab, "by-hand", server="command")["environment"]["server_settings"]
    assert named.pop("gunicorn.conf.py").startswith("sha256 ")
    assert named == {"GUNICORN_CMD_ARGS": "--log-level=error", "WEB_CONCURRENCY": "1"}
