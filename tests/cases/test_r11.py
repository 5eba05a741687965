"""A file of variables was read otherwise than by python-dotenv, and a byte order mark by nobody."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from control_plane.applications_file import read_applications
from tests.cases.command_line import CASES, command_line, short_spec
from tests.dashboard import Dashboard

RIGHT = {
    "FIRST": "one", "DB_USER": "shop", "DATABASE_URL": "postgresql://shop:x@localhost/shop",
    "EXPORTED": "value", "QUOTED": "two words", "COMMENTED": "val", "SINGLE": "$x",
}  # fmt: skip


@pytest.fixture(scope="module")
def looplab(case: Callable[[str], Dashboard]) -> Dashboard:
    return case("R11")


@pytest.mark.parametrize("application", ["envs", "envs-own"])
def test_variables_are_those_of_python_dotenv(looplab: Dashboard, application: str) -> None:
    run = looplab.finished(looplab.submit(short_spec(application, ["/"])))
    assert run["state"] == "finished"
    assert json.loads((looplab.db.parent / "got.json").read_text()) == RIGHT


def test_a_byte_order_mark_is_read_over(looplab: Dashboard, tmp_path: Path) -> None:
    assert read_applications(CASES / "R11" / "bom" / "looplab.toml").keys() == {"a"}
    body = (CASES / "R11" / "bom" / "spec.json").read_bytes()
    assert body.startswith(b"\xef\xbb\xbf")
    looplab_run = command_line("R11", tmp_path)
    shutil.copy(CASES / "R11" / "bom" / "spec.json", looplab_run.folder)
    done = looplab_run("run", "spec.json", "--json")
    assert json.loads(done.stdout)["state"] == "finished", done.stderr
