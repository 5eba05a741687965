"""A build stayed green when every request failed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cases.command_line import CommandLine, command_line, short_spec
from tests.dashboard import forked_dashboard


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """Measures itself."""
    return command_line("R04", tmp_path_factory.mktemp("R04"))


@pytest.fixture(scope="module")
def beside_a_dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    looplab = command_line("R04", tmp_path_factory.mktemp("beside"))
    with forked_dashboard(looplab.folder):
        yield looplab


@pytest.mark.parametrize(
    ("application", "paths", "code", "outcome"),
    [
        ("gate", ["/"], 0, {"valid", "suspect"}),
        ("gate", ["/404"], 12, {"invalid"}),
        ("gate", ["/half"], 12, {"invalid"}),
        ("gate", ["/few"], 0, {"valid", "suspect"}),
        ("broken", ["/"], 1, {None}),
    ],
)
def test_the_exit_code_tells_how_the_run_ended(
    beside_a_dashboard: CommandLine,
    application: str,
    paths: list[str],
    code: int,
    outcome: set[str | None],
) -> None:
    spec = json.dumps(short_spec(application, paths))
    done = beside_a_dashboard("run", "-", "--wait", "--json", stdin=spec)
    assert done.returncode == code, done.stderr
    assert json.loads(done.stdout)["validity"]["outcome"] in outcome


@pytest.mark.parametrize(
    ("application", "path", "code", "words"),
    [
        ("gate", "/half", 12, "\ninvalid\n"),
        ("broken", "/", 1, "failed"),
    ],
)
def test_it_tells_the_same_without_a_dashboard(
    looplab: CommandLine, application: str, path: str, code: int, words: str
) -> None:
    done = looplab("run", "-", "--wait", stdin=json.dumps(short_spec(application, [path])))
    assert done.returncode == code, done.stderr
    assert words in done.stdout
    told = [line for line in done.stdout.splitlines() if line.startswith("requests, of an inv")]
    assert len(told) == (code == 12)


def test_a_run_that_is_not_waited_for_is_no_failure(beside_a_dashboard: CommandLine) -> None:
    spec = json.dumps(short_spec("gate", ["/404"]))
    assert beside_a_dashboard("run", "-", stdin=spec).returncode == 0


def test_a_path_that_nobody_listens_at_is_no_success(looplab: CommandLine) -> None:
    spec = short_spec("gate", ["/"], target={"url": "http://127.0.0.1:9"}, timeout_s=1)
    done = looplab("run", "-", "--wait", stdin=json.dumps(spec))
    assert done.returncode in {1, 12}


@pytest.mark.parametrize("command", ["run", "ceiling"])
def test_help_lists_the_exit_codes(looplab: CommandLine, command: str) -> None:
    printed = looplab(command, "--help").stdout
    assert "12 finished and invalid" in printed
    assert "1 not finished" in printed


def test_the_handed_spec_is_measured_as_it_is(looplab: CommandLine) -> None:
    assert looplab("run", str(Path("spec.json")), "--wait").returncode == 0
