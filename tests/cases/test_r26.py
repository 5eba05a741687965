"""What goes into a file was cut to 80 columns, and broke on encodings other than UTF-8."""

import json
import re
from contextlib import closing

import pytest

from control_plane.domain.spec import Spec
from control_plane.store.store import open_store
from tests.builders.runs import ASYNC, FAILING, finished, items
from tests.cases.command_line import CommandLine, command_line, short_spec
from tests.dashboard import BARE

PLAIN = {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
OUTPUTS = [
    ("utf-8", {"COLUMNS": "40"}),
    ("ascii", {"LC_ALL": "C", **PLAIN}),
    ("latin-1", {"PYTHONIOENCODING": "latin-1"}),
    ("cp1252", {"PYTHONIOENCODING": "cp1252", "TERM": "dumb"}),
]


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return command_line("R26", tmp_path_factory.mktemp("R26"))


@pytest.fixture(scope="module")
def ids(looplab: CommandLine) -> list[str]:
    """Six runs, and one that is invalid."""
    with closing(open_store(looplab.folder / "runs.db")) as store:
        return [
            finished(store, wide(users), FAILING if users == 7 else ASYNC).id
            for users in range(1, 8)
        ]


def wide(users: int) -> Spec:
    title = f"für {users} × Nutzer – ≥"
    return items(title=title, trials=1, concurrency=users, stop={"requests": 1_500}, **BARE)


@pytest.mark.parametrize(("encoding", "environment"), OUTPUTS)
def test_six_runs_stand_whole_beside_one_another(
    looplab: CommandLine, ids: list[str], encoding: str, environment: dict[str, str]
) -> None:
    six = ids[:6]
    done = looplab.interpreted("compare", *six, environment=environment, encoding=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.replace("|", " ").splitlines()
    (heads,) = [line for line in lines if all(run_id in line.split() for run_id in six)]
    assert heads
    (throughput,) = [line for line in lines if "Throughput" in line]
    assert throughput.count("/s") == 6
    for label in ("p50 response time", "p99 response time", "Peak memory"):
        assert len([line for line in lines if label in line]) == 1


@pytest.mark.parametrize(("encoding", "environment"), OUTPUTS[1:2])
def test_json_says_the_same_in_every_encoding(
    looplab: CommandLine, ids: list[str], encoding: str, environment: dict[str, str]
) -> None:
    done = looplab.interpreted(
        "compare", *ids[:6], "--json", environment=environment, encoding=encoding
    )
    assert done.returncode == 0, done.stderr
    titles = {run["title"] for run in json.loads(done.stdout)["runs"]}
    assert titles == {f"für {users} × Nutzer – ≥" for users in range(1, 7)}


@pytest.mark.parametrize(("encoding", "environment"), OUTPUTS[2:3])
def test_a_run_is_told_in_every_encoding(
    looplab: CommandLine, encoding: str, environment: dict[str, str]
) -> None:
    spec = json.dumps(short_spec("wide", ["/"], title="über – ≥ 日本"))
    done = looplab.interpreted("run", "-", stdin=spec, environment=environment, encoding=encoding)
    # Standard input is bytes to the command; the spec is JSON in ASCII.
    assert done.returncode == 0, done.stderr
    assert "ber" in done.stdout
    assert "Traceback" not in done.stderr


def test_weak_and_invalid_numbers_are_told_without_colours(
    looplab: CommandLine, ids: list[str]
) -> None:
    printed = looplab("compare", ids[0], ids[6]).stdout
    (throughput,) = [line for line in printed.splitlines() if "Throughput" in line]
    assert re.search(r"!\d", throughput)
    assert "! of an invalid run: not to be used" in printed
    (tail,) = [line for line in printed.splitlines() if "p99 response time" in line]
    assert "~" in tail
    assert "~ only 10 to 99 samples lie above it" in printed
