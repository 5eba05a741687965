"""User and password that belong together: drawn apart, nine in ten logins fail."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cases.command_line import CommandLine, command_line
from tests.dashboard import Dashboard

CASE: dict[str, Any] = json.loads((Path(__file__).parent / "R25" / "spec.json").read_text())


def test_a_run_of_401_says_what_it_may_be(case: Callable[[str], Dashboard]) -> None:
    looplab = case("R25")
    spec = json.loads(json.dumps(CASE)) | {"warmup_s": 0}
    spec["workload"]["streams"][0]["stop"] = {"requests": 400}
    run = looplab.finished(looplab.submit(spec))
    (stream,) = run["streams"]
    assert stream["statuses"]["401"] > 5 * stream["statuses"]["200"]
    assert run["validity"]["outcome"] == "invalid"
    (reason,) = [reason for reason in run["validity"]["reasons"] if reason["gate"] == "errors"]
    assert "Mostly 401" in reason["text"]
    assert "Values that are drawn each by itself, such as user and password" in reason["text"]
    assert "Mostly 401" in looplab.get(f"/runs/{run['id']}").text


ACCOUNT = {"kind": "row", "file": "users.csv", "columns": ["user", "password"]}
USERS = "user,password\n" + "".join(f"user-{n},pass-{n}\n" for n in range(10))


def with_rows(**changes: Any) -> dict[str, Any]:
    """The case with both columns of one row: 20 requests."""
    request = {
        "method": "POST",
        "path": "/login",
        "body": {"json": {"user": "{user}", "password": "{password}"}},
        "values": {"account": ACCOUNT | changes},
    }
    load = {"model": "closed", "concurrency": 4}
    stream = {"requests": [request], "load": load, "stop": {"requests": 20}}
    return {"target": CASE["target"], "warmup_s": 0, "workload": {"streams": [stream]}}


@pytest.fixture
def looplab(tmp_path: Path) -> CommandLine:
    made = command_line("R25", tmp_path)
    (made.folder / "users.csv").write_text(f"\ufeff{USERS}")
    return made


def test_one_row_has_both(looplab: CommandLine) -> None:
    (looplab.folder / "rows.json").write_text(json.dumps(with_rows()))
    done = looplab("run", "rows.json", "--json")
    run = json.loads(done.stdout)
    assert run["streams"][0]["statuses"] == {"200": 20}
    account = run["spec"]["workload"]["streams"][0]["requests"][0]["values"]["account"]
    assert account["file"].items() >= {"name": "users.csv", "rows": 10}.items()
    assert account["secret"] == ["password"]
    assert "pass-" not in done.stdout


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"file": "nobody.csv"}, "account.file: nobody.csv: there is no such file."),
        ({"file": "."}, "account.file: .: this is no file."),
        ({"file": "pipe"}, "account.file: pipe: this is no file."),
        ({"file": "empty.csv"}, "account.file: empty.csv is empty"),
        ({"columns": ["user", "pin"]}, "account.columns: users.csv has no column 'pin'"),
        ({"order": "each_once"}, "account.order: users.csv has 10 rows, and 20 requests need 20"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    looplab: CommandLine, changes: dict[str, Any], said: str
) -> None:
    (looplab.folder / "empty.csv").touch()
    os.mkfifo(looplab.folder / "pipe")
    text = json.dumps(with_rows(**changes))
    document = text.replace("{password}", "{pin}") if "columns" in changes else text
    done = looplab("run", "-", stdin=document)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line
